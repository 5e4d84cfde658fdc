// Scope layer: x [length, model_dim] to y through the variant's heads and their projections.

#include <fmt/format.h>

#include <algorithm>

#include "harness/bench/contender.hpp"
#include "harness/model/make.hpp"

namespace arena {
namespace {

class LayerContender final : public Contender {
 public:
  LayerContender(const BenchShape& shape, const BenchVariant& variant, const BenchInputs& inputs)
      : Contender(shape, variant, inputs),
        head_(make_head(variant_, problem_.setup, variant.options)),
        layer_(make_layer(variant_, problem_.setup, variant.options)) {
    slices_ = weights_.layout.add(layer_->parameters(), "", "");
    buffer_slices_ = weights_.buffer_layout.add(layer_->buffers(), "", "");
    const std::array<std::string, 1> names{"x"};
    allocate(names);
  }

 protected:
  std::vector<Frame> carve_frames(const Team& team) const override {
    const Footprint footprint = layer_->footprint(problem_.extents, call_of(team, 0));
    return {Frame::carve(team.workspace(), footprint.frame)};
  }

  void forward(const Team& team, Index sequence, std::span<Frame> frames) override {
    layer_->forward(call_of(team, sequence), {tensors_of(sequence).front()}, weights(),
                    outputs_of(sequence).out, frames.empty() ? nullptr : &frames.front(), {});
  }

  void backward(const Team& team, Index sequence, std::span<const Frame> frames,
                ConstView d_out) override {
    Outputs& outputs = outputs_of(sequence);
    layer_->backward(call_of(team, sequence), {tensors_of(sequence).front()}, weights(), d_out, 0,
                     frames.front(), {outputs.d_tensors.front()},
                     Slices(outputs.d_weights.data(), slices_));
  }

  MatrixD oracle(const Call& call, std::span<const ConstView> tensors, const float* weights,
                 const Sampled& sampled) const override {
    const MatrixD x = tensors.front().cast<double>();
    const InputNames names = input_names(*head_);
    std::array<Matrix, kNumInputSlots> inputs;
    for (std::size_t slot = 0; slot < names.size(); ++slot) {
      if (!names[slot].empty()) inputs[slot] = project(x, names[slot], weights).cast<float>();
    }
    const HeadInputs in = head_matrices<ConstView>(
        [&](Index slot) -> ConstView { return inputs[static_cast<std::size_t>(slot)]; });
    std::vector<Weights> of_heads;
    for (Index h = 0; h < shape_.heads; ++h) of_heads.push_back(weights_of_head(h, weights));
    const MatrixD heads = oracle_heads(variant_, problem_, call, {shape_.heads}, in, of_heads,
                                       {sampled.rows, sampled_rows(shape_.heads, shape_.heads)});
    return project(heads, "out", weights);
  }

  Plan plan_of(const Team& team, Index sequence) const override {
    Matrix out(problem_.extents.query_len, problem_.setup.model_dim);
    Plan plan;
    layer_->forward(call_of(team, sequence), {tensors_of(sequence).front()}, weights(), out,
                    nullptr, {.plan = &plan});
    return plan;
  }

 private:
  Weights weights() const {
    return {ConstSlices(weights_.values.data(), slices_),
            ConstSlices(weights_.buffers.data(), buffer_slices_)};
  }

  ConstView parameter(const std::string& name, const float* weights) const {
    const auto specs = layer_->parameters();
    const auto found = std::ranges::find(specs, name, &ParameterSpec::name);
    check(found != specs.end(), "{}: its layer has no parameter '{}'", variant_.name, name);
    return ConstSlices(weights, slices_)[found - specs.begin()];
  }

  /// x W + b in double.
  MatrixD project(const MatrixD& x, const std::string& name, const float* weights) const {
    MatrixD y = x * parameter(name + ".weight", weights).cast<double>();
    y.rowwise() += parameter(name + ".bias", weights).cast<double>().row(0);
    return y;
  }

  /// The heads' own parameters stand behind the projections', head after head.
  Weights weights_of_head(Index h, const float* weights) const {
    const auto count = static_cast<Index>(head_->parameters().size());
    const auto buffers = static_cast<Index>(head_->buffers().size());
    const Index first = static_cast<Index>(slices_.size()) - (shape_.heads - h) * count;
    return {ConstSlices(weights, slices_).part(first, count),
            ConstSlices(weights_.buffers.data(), buffer_slices_).part(h * buffers, buffers)};
  }

  std::unique_ptr<AttentionHead> head_;  // only for its inputs and number of parameters
  std::unique_ptr<AttentionLayer> layer_;
  std::vector<Slice> slices_, buffer_slices_;
};

}  // namespace

std::unique_ptr<Contender> make_layer_contender(const BenchShape& shape,
                                                const BenchVariant& variant,
                                                const BenchInputs& inputs) {
  return std::make_unique<LayerContender>(shape, variant, inputs);
}

}  // namespace arena
