// Scope kernel: all heads of one layer on random query, key and value, without projections.

#include "harness/conformance/oracle.hpp"
#include "harness/contender.hpp"
#include "harness/core/hash.hpp"
#include "harness/gradient_probe.hpp"
#include "harness/model/heads.hpp"
#include "harness/model/make.hpp"

namespace arena {
namespace {

constexpr std::uint64_t kWeightSeed = 2;

std::uint64_t hash_of(const Matrix& matrix, std::uint64_t hash) {
  return fnv1a(std::span<const float>(matrix.data(), static_cast<std::size_t>(matrix.size())),
               hash);
}

/// Rows of `all` in that order.
MatrixD rows_of(ConstView all, std::span<const Index> rows) {
  MatrixD result(static_cast<Index>(rows.size()), all.cols());
  for (Index i = 0; i < result.rows(); ++i) {
    result.row(i) = all.row(rows[static_cast<std::size_t>(i)]).cast<double>();
  }
  return result;
}

class KernelContender final : public Contender {
 public:
  KernelContender(const BenchShape& shape, const BenchVariant& chosen, const BenchInputs& inputs)
      : shape_(shape),
        variant_(Registry<Variant>::find(chosen.name)),
        problem_(bench_problem(shape, chosen.options)),
        head_(make_head(variant_, problem_.setup, chosen.options)),
        inputs_(inputs) {
    lay_out_weights();
    for (Index sequence = 0; sequence < shape.batch; ++sequence) {
      const Index width = shape.heads * shape.head_dim;
      outputs_.emplace_back(shape.length, width);
      if (shape.pass == Pass::kForward) continue;
      grads_.push_back({Matrix(shape.length, width), Matrix(shape.length, width),
                        Matrix(shape.length, width), std::vector<float>(values_.size())});
    }
  }

  void prepare(const Team& team) override {
    if (shape_.pass != Pass::kBackward) return;
    frames_.assign(static_cast<std::size_t>(shape_.batch), {});
    for (auto& frames : frames_) frames = carve_frames(team);
    team.for_each(shape_.batch, [&](Index sequence, const Team& worker) {
      forward(worker, sequence, frames_[static_cast<std::size_t>(sequence)]);
    });
  }

  void run(const Team& team) override {
    team.for_each(shape_.batch, [&](Index sequence, const Team& worker) {
      if (shape_.pass == Pass::kForward) {
        forward(worker, sequence, {});
      } else if (shape_.pass == Pass::kBackward) {
        backward(worker, sequence, frames_[static_cast<std::size_t>(sequence)], d_out(sequence));
      } else {
        const WorkspaceScope scope(worker.workspace());
        std::vector<Frame> frames = carve_frames(worker);
        forward(worker, sequence, frames);
        backward(worker, sequence, frames, d_out(sequence));
      }
    });
  }

  double output_error(const Team& team) const override;
  double gradient_error(const Team& team) override;

  Index parameter_count() const override { return layout_.parameter_count(); }

  std::uint64_t output_hash() const override {
    std::uint64_t hash = kFnvStart;
    for (const Matrix& out : outputs_) hash = hash_of(out, hash);
    for (const Grads& grads : grads_) {
      for (const Matrix* matrix : {&grads.query, &grads.key, &grads.value}) {
        hash = hash_of(*matrix, hash);
      }
    }
    return hash;
  }

 private:
  struct Grads {
    Matrix query, key, value;
    std::vector<float> weights;
  };

  void lay_out_weights() {
    ParameterLayout buffer_layout;
    for (Index h = 0; h < shape_.heads; ++h) {
      slices_.push_back(layout_.add(specs_of_head(head_->parameters(), h), "", ""));
      buffer_slices_.push_back(buffer_layout.add(specs_of_head(head_->buffers(), h), "", ""));
    }
    const RandomKey key(kWeightSeed);
    values_.resize(static_cast<std::size_t>(layout_.size()));
    buffers_.resize(static_cast<std::size_t>(buffer_layout.size()));
    layout_.initialise(key.fold(Purpose::kInitialise), values_);
    buffer_layout.initialise(key.fold(Purpose::kBuffer), buffers_);
    weights_ = weights_on(values_);
  }

  /// One entry per head, on a flat buffer of the layout.
  std::vector<Weights> weights_on(const std::vector<float>& values) const {
    std::vector<Weights> weights;
    for (std::size_t h = 0; h < slices_.size(); ++h) {
      weights.push_back({ConstSlices(values.data(), slices_[h]),
                         ConstSlices(buffers_.data(), buffer_slices_[h])});
    }
    return weights;
  }

  Call call_of(const Team& team, Index sequence) const {
    return {.team = team,
            .key = RandomKey(kWeightSeed)
                       .fold(Purpose::kAttention)
                       .fold(static_cast<std::uint64_t>(sequence))};
  }

  /// The call that forward_heads hands to head h.
  Call call_of_head(const Team& team, Index sequence, Index h) const {
    Call call = call_of(team, sequence);
    call.key = call.key.fold(static_cast<std::uint64_t>(h));
    call.head = h;
    return call;
  }

  HeadInputs inputs_of(Index sequence) const {
    const auto at = static_cast<std::size_t>(sequence);
    return {inputs_.query[at], inputs_.key[at], inputs_.value[at]};
  }
  const Matrix& d_out(Index sequence) const {
    return inputs_.d_out[static_cast<std::size_t>(sequence)];
  }

  std::vector<Frame> carve_frames(const Team& team) const {
    std::vector<Frame> frames;
    for (Index h = 0; h < shape_.heads; ++h) {
      const Footprint footprint = head_->footprint(problem_.extents, call_of_head(team, 0, h));
      frames.push_back(Frame::carve(team.workspace(), footprint.frame));
    }
    return frames;
  }

  void forward(const Team& team, Index sequence, std::span<Frame> frames) {
    forward_heads(*head_, call_of(team, sequence), shape_.heads, inputs_of(sequence), weights_,
                  {outputs_[static_cast<std::size_t>(sequence)]}, frames);
  }

  void backward(const Team& team, Index sequence, std::span<const Frame> frames,
                const Matrix& d_output) {
    Grads& grads = grads_[static_cast<std::size_t>(sequence)];
    std::vector<Slices> slices;
    for (const auto& of_head : slices_) slices.emplace_back(grads.weights.data(), of_head);
    const Matrix& out = outputs_[static_cast<std::size_t>(sequence)];
    backward_heads(*head_, call_of(team, sequence), shape_.heads, inputs_of(sequence), weights_,
                   {.out = d_output, .forward_out = out}, frames,
                   {grads.query, grads.key, grads.value}, slices);
  }

  HeadInputs head_slice(const HeadInputs& in, Index h) const {
    const Index first = h * shape_.head_dim;
    return {in.query.column_slice(first, shape_.head_dim),
            in.key.column_slice(first, shape_.head_dim),
            in.value.column_slice(first, shape_.head_dim)};
  }

  BenchShape shape_;
  const Variant& variant_;
  Problem problem_;
  std::unique_ptr<AttentionHead> head_;
  const BenchInputs& inputs_;
  ParameterLayout layout_;
  std::vector<std::vector<Slice>> slices_, buffer_slices_;  // per head
  std::vector<float> values_, buffers_;
  std::vector<Weights> weights_;            // per head
  std::vector<Matrix> outputs_;             // per sequence
  std::vector<Grads> grads_;                // per sequence
  std::vector<std::vector<Frame>> frames_;  // per sequence and head, Pass::kBackward
};

double KernelContender::output_error(const Team& team) const {
  const std::vector<Index> rows = sampled_rows(shape_.length);
  double error = 0;
  for (Index sequence = 0; sequence < shape_.batch; ++sequence) {
    for (Index h = 0; h < shape_.heads; ++h) {
      const ConstView out = outputs_[static_cast<std::size_t>(sequence)];
      const MatrixD expected = oracle_out(variant_, problem_, call_of_head(team, sequence, h),
                                          head_slice(inputs_of(sequence), h),
                                          weights_[static_cast<std::size_t>(h)], rows);
      const MatrixD actual = rows_of(out.column_slice(h * shape_.head_dim, shape_.head_dim), rows);
      error = std::max(error, max_error(actual, expected));
    }
  }
  return error;
}

double KernelContender::gradient_error(const Team& team) {
  const std::vector<Index> rows = sampled_rows(shape_.length);
  Matrix d_output = Matrix::Zero(shape_.length, shape_.heads * shape_.head_dim);
  for (const Index row : rows) d_output.row(row) = d_out(0).row(row);
  Grads& grads = grads_.front();
  std::ranges::fill(grads.weights, 0.0F);
  {
    const WorkspaceScope scope(team.workspace());
    std::vector<Frame> frames = carve_frames(team);
    forward(team, 0, frames);
    backward(team, 0, frames, d_output);
  }
  const HeadInputs in = inputs_of(0);
  const std::vector<ProbedTensor> tensors = {
      {in.query, grads.query},
      {in.key, grads.key},
      {in.value, grads.value},
      {ConstView(values_.data(), 1, static_cast<Index>(values_.size())),
       ConstView(grads.weights.data(), 1, static_cast<Index>(values_.size()))}};
  return directional_error(tensors, [&](std::span<const Matrix> moved) {
    const HeadInputs moved_in{moved[0], moved[1], moved[2]};
    const std::vector<float> moved_values(moved[3].data(), moved[3].data() + moved[3].size());
    const std::vector<Weights> moved_weights = weights_on(moved_values);
    double loss = 0;
    for (Index h = 0; h < shape_.heads; ++h) {
      const MatrixD out =
          oracle_out(variant_, problem_, call_of_head(team, 0, h), head_slice(moved_in, h),
                     moved_weights[static_cast<std::size_t>(h)], rows);
      const ConstView d_head =
          ConstView(d_output).column_slice(h * shape_.head_dim, shape_.head_dim);
      loss += rows_of(d_head, rows).cwiseProduct(out).sum();
    }
    return loss;
  });
}

}  // namespace

std::unique_ptr<Contender> make_kernel_contender(const BenchShape& shape,
                                                 const BenchVariant& variant,
                                                 const BenchInputs& inputs) {
  return std::make_unique<KernelContender>(shape, variant, inputs);
}

}  // namespace arena
