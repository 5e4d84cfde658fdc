#pragma once
// An attention half of a block, with its norm and residual:
//   y = x + dropout(attention(norm(x), context))

#include <memory>
#include <string>
#include <vector>

#include "harness/model/feed_forward.hpp"
#include "variants/attention.hpp"

namespace arena {

class ResidualAttention {
 public:
  /// `name` stands before those of its parameters: "attention", "cross".
  ResidualAttention(std::string name, std::unique_ptr<AttentionLayer> attention, Index dim,
                    const BlockSettings& settings)
      : name_(std::move(name)), attention_(std::move(attention)), dim_(dim), settings_(settings) {}

  std::vector<ParameterSpec> parameters() const;  // the norm's first
  std::vector<ParameterSpec> buffers() const { return named(attention_->buffers()); }
  std::vector<ParameterSpec> statistics() const { return named(attention_->statistics()); }
  const AttentionLayer& attention() const { return *attention_; }

  Footprint footprint(const Extents& extents, const Call& call) const;
  /// y [len, dim] in memory of its own; an empty context is self attention.
  void forward(const Call& call, const LayerInputs& in, const Weights& weights, View y,
               Frame* frame, const Extras& extras) const;
  /// `d` holds d_y and becomes d_in.x; overwrites d_context, adds to grads.
  void backward(const Call& call, const LayerInputs& in, const Weights& weights,
                float d_auxiliary_loss, const Frame& frame, View d, View d_context,
                const Slices& grads) const;

 private:
  std::vector<ParameterSpec> named(std::span<const ParameterSpec> specs) const {
    return with_prefix(specs, name_ + ".");
  }
  Dropout dropout(const Call& call) const {
    return {call.key.fold("attention.dropout"), call.training ? settings_.dropout : 0, dim_};
  }
  void norm_backward(const Team& team, ConstView x, ConstView statistics,
                     const ConstSlices& weights, ConstView d_normed, View d_x,
                     const Slices& grads) const;

  std::string name_;
  std::unique_ptr<AttentionLayer> attention_;
  Index dim_;
  BlockSettings settings_;
};

}  // namespace arena
