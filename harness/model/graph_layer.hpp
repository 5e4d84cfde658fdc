#pragma once
// Heads of graph attention on one shared projection without bias: z = heads(x W), side by side.

#include <memory>
#include <vector>

#include "harness/model/heads.hpp"

namespace arena {

class GraphLayer {
 public:
  /// What forward leaves for backward, in the team's workspace.
  struct Pass {
    ConstView x;              // [len, in]
    View projected, out;      // [len, heads * head_dim]
    std::span<Frame> frames;  // of the heads; empty: evaluation
  };

  /// Throws Failure::kUnsupported on a head that wants more than a value.
  GraphLayer(std::unique_ptr<AttentionHead> head, Index in, Index heads, Index head_dim);

  /// The projection, then the parameters of each head.
  std::vector<ParameterSpec> specs() const;
  Index width() const { return heads_ * head_dim_; }

  Pass forward(const Call& call, ConstView x, const Weights& weights) const;
  /// Overwrites d_x unless it is empty, adds to grads.
  void backward(const Call& call, const Pass& pass, ConstView d_out, const Weights& weights,
                View d_x, const Slices& grads) const;

 private:
  Index head_parameters() const { return std::ssize(head_->parameters()); }
  template <class AnySlices>
  AnySlices part_of_head(const AnySlices& all, Index h) const {
    return all.part(1 + h * head_parameters(), head_parameters());
  }
  /// One for each head, in the team's workspace.
  std::span<Weights> head_weights(const Team& team, const Weights& weights) const;

  std::unique_ptr<AttentionHead> head_;
  Index in_, heads_, head_dim_;
};

}  // namespace arena
