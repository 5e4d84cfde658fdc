#pragma once
// What the heads of a layer work on, projected from x and the context, and the way back.

#include <algorithm>
#include <span>
#include <vector>

#include "harness/model/heads.hpp"
#include "variants/attention.hpp"

namespace arena {

/// One projection with bias for each input that a head lists. Its matrices are stacked
/// (HeadLayout): rows of a head lie close together, so that kernels use all of a cache.
class HeadProjections {
 public:
  /// Appends the projections to the parameters of the layer.
  HeadProjections(const AttentionHead& head, const Setup& setup,
                  std::vector<ParameterSpec>& parameters);

  Index count() const { return static_cast<Index>(inputs_.size()); }
  /// Of the matrices of all inputs.
  Index bytes(const Extents& extents) const;
  /// These matrices [heads * length, head_dim], or those of their gradients, in the order of slots.
  template <class AnyView, class Memory>
  HeadMatrices<AnyView> take(Memory& memory, const Extents& extents) const {
    return head_matrices<AnyView>([&](Index slot) -> AnyView {
      if (std::ranges::find(inputs_, slot, &Input::slot) == inputs_.end()) return {};
      return memory.matrix(setup_.num_heads * rows_of(slot, extents), setup_.head_dim);
    });
  }

  void forward(const Team& team, const LayerInputs& in, const ConstSlices& weights,
               const HeadMatrices<View>& to) const;
  /// Overwrites d_in, adds to grads. Transposed weights are taken from the team's workspace where
  /// they are not prepared.
  void backward(const Team& team, const LayerInputs& in, const Weights& weights,
                const HeadMatrices<View>& d, const LayerGrads& d_in, Slices grads) const;

 private:
  /// An input of the heads, and the position of its projection's weight in parameters(); the bias
  /// is next.
  struct Input {
    Index slot;
    Index weight;
  };
  /// An input whose gradient goes through its transposed weight [width, model_dim].
  struct Source {
    Index slot;
    const float* transposed;
  };

  static bool of_context(Index slot) { return slot == 1 || slot == 2; }
  /// Without a context its inputs are projections of x too: self-attention reads x once for all.
  static bool from_context(const LayerInputs& in, Index slot) {
    return !in.context.empty() && of_context(slot);
  }
  static Index rows_of(Index slot, const Extents& extents) {
    return of_context(slot) ? extents.key_len : extents.query_len;
  }
  void backward_inputs(const Team& team, const LayerInputs& in, const Weights& weights,
                       const HeadMatrices<View>& d, const LayerGrads& d_in) const;
  void backward_source(const Team& team, std::span<const Source> sources,
                       const HeadMatrices<View>& d, View d_x) const;

  Setup setup_;
  Heads columns_, stacked_;
  std::vector<Input> inputs_;
};

}  // namespace arena
