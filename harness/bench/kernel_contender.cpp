// Scope kernel: all heads of one layer on random query, key and value, without projections. Heads
// are stacked, as multi_head.cpp holds them and as fused kernels of others take them.

#include "harness/bench/contender.hpp"
#include "harness/model/heads.hpp"
#include "harness/model/make.hpp"

namespace arena {
namespace {

class KernelContender final : public Contender {
 public:
  KernelContender(const BenchShape& shape, const BenchVariant& variant, const BenchInputs& inputs)
      : Contender(shape, variant, inputs),
        head_(make_head(variant_, problem_.setup, variant.options)) {
    for (Index h = 0; h < shape.heads; ++h) {
      slices_.push_back(weights_.layout.add(specs_of_head(head_->parameters(), h), "", ""));
      buffer_slices_.push_back(
          weights_.buffer_layout.add(specs_of_head(head_->buffers(), h), "", ""));
    }
    const InputNames names = input_names(*head_);
    allocate(names);
    head_weights_ = weights_on(weights_.values.data());
  }

 protected:
  std::vector<Frame> carve_frames(const Team& team) const override {
    std::vector<Frame> frames;
    for (Index h = 0; h < shape_.heads; ++h) {
      Call call = call_of(team, 0);
      call.head = h;
      const Footprint footprint = head_->footprint(problem_.extents, call);
      frames.push_back(Frame::carve(team.workspace(), footprint.frame));
    }
    return frames;
  }

  void forward(const Team& team, Index sequence, std::span<Frame> frames) override {
    forward_heads(*head_, call_of(team, sequence), heads_, inputs_of(tensors_of(sequence)),
                  head_weights_, {outputs_of(sequence).out}, frames);
  }

  void backward(const Team& team, Index sequence, std::span<const Frame> frames,
                ConstView d_out) override {
    Outputs& outputs = outputs_of(sequence);
    std::vector<Slices> grads;
    for (const auto& slices : slices_) grads.emplace_back(outputs.d_weights.data(), slices);
    backward_heads(*head_, call_of(team, sequence), heads_, inputs_of(tensors_of(sequence)),
                   head_weights_, {.out = d_out, .forward_out = outputs.out}, frames,
                   head_matrices<View>([&](Index slot) -> View {
                     return outputs.d_tensors[static_cast<std::size_t>(slot)];
                   }),
                   grads);
  }

  MatrixD oracle(const Call& call, std::span<const ConstView> tensors, const float* weights,
                 const Sampled& sampled) const override {
    return oracle_heads(variant_, problem_, call, heads_, inputs_of(tensors), weights_on(weights),
                        sampled);
  }

  Plan plan_of(const Team& team, Index sequence) const override {
    Matrix out(problem_.extents.query_len * shape_.heads, shape_.head_dim);
    std::vector<Plan> plans(static_cast<std::size_t>(shape_.heads));
    std::vector<Extras> extras;
    for (Plan& plan : plans) extras.push_back({.plan = &plan});
    forward_heads(*head_, call_of(team, sequence), heads_, inputs_of(tensors_of(sequence)),
                  head_weights_, {out}, {}, extras);
    Plan result;
    for (Index h = 0; h < shape_.heads; ++h) {
      add_plan_of_head(result, h, plans[static_cast<std::size_t>(h)]);
    }
    return result;
  }

 private:
  static HeadInputs inputs_of(std::span<const ConstView> tensors) {
    return head_matrices<ConstView>(
        [&](Index slot) { return tensors[static_cast<std::size_t>(slot)]; });
  }

  /// One entry per head.
  std::vector<Weights> weights_on(const float* values) const {
    std::vector<Weights> weights;
    for (std::size_t h = 0; h < slices_.size(); ++h) {
      weights.push_back({ConstSlices(values, slices_[h]),
                         ConstSlices(weights_.buffers.data(), buffer_slices_[h])});
    }
    return weights;
  }

  std::unique_ptr<AttentionHead> head_;
  std::vector<std::vector<Slice>> slices_, buffer_slices_;  // per head
  std::vector<Weights> head_weights_;
};

}  // namespace

std::unique_ptr<Contender> make_kernel_contender(const BenchShape& shape,
                                                 const BenchVariant& variant,
                                                 const BenchInputs& inputs) {
  return std::make_unique<KernelContender>(shape, variant, inputs);
}

}  // namespace arena
