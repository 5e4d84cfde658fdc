#pragma once
// Mixtures of the blocks of a sequence, for some blocks at a time:
//
//   mixture_i,t = sum over l of W_il x_l,t  for keys x and for values x
//   d_x_l,t += sum over i of W_il d_mixture_i,t,  d_W_il = sum over t of <d_mixture_i,t, x_l,t>
//
// Row t of all blocks is one product with some rows of W.

#include <algorithm>

#include "variants/engine/sorted_blocks.hpp"

namespace arena {

/// Some blocks, and the blocks that their mixtures draw on: all, or (causal) those before.
class BlockGroup {
 public:
  BlockGroup(const SortedBlocks& shape, Range blocks)
      : shape_(shape), blocks_(blocks), sources_(shape.causal ? blocks.end - 1 : shape.count()) {}

  Range blocks() const { return blocks_; }
  Index mixture_rows() const { return shape_.mixture_rows(); }
  /// Rows t below this one are in all blocks; those from it on, not in a short last one.
  Index alike_rows() const { return std::min(shape_.last_rows(), shape_.mixture_rows()); }
  /// How many source blocks have a row t.
  Index sources(Index t) const {
    return std::min(sources_, shape_.count() - (t < shape_.last_rows() ? 0 : 1));
  }
  /// What of the mixture's matrices makes rows t.
  template <class AnyView>
  AnyView weights(const BlockMixture<AnyView>& mixture, Index t) const {
    const bool whole = t < shape_.last_rows() || !shape_.has_partial();
    return (whole ? mixture.weights : mixture.partial)
        .row_slice(blocks_.begin, blocks_.size())
        .column_slice(0, sources(t));
  }
  /// Rows t of the source blocks of a sequence.
  template <class AnyView>
  AnyView source_rows(const AnyView& x, Index t) const {
    return every(x, t, shape_.block, sources(t));
  }
  /// Rows t of the group's mixtures, which stand one below the other.
  template <class AnyView>
  AnyView rows_of_mixtures(const AnyView& mixtures, Index t) const {
    return every(mixtures, t, shape_.mixture_rows(), blocks_.size());
  }
  View mixture(const View& mixtures, Index i, Index rows) const {
    return mixtures.row_slice((i - blocks_.begin) * shape_.mixture_rows(), rows);
  }
  /// Of keys and values, forward; backward twice as many.
  double mixing_flops() const;

 private:
  template <class AnyView>
  static AnyView every(AnyView x, Index first, Index step, Index count) {
    return {x.data() + first * x.outerStride(), count, x.cols(), step * x.outerStride()};
  }

  const SortedBlocks& shape_;
  Range blocks_;
  Index sources_;
};

/// Keys and values of a group's mixtures, or their gradients.
template <class AnyView>
struct MixedRows {
  AnyView key, value;

  /// Of `most` blocks at once, or of all where there are fewer.
  template <class Memory>
  static MixedRows take(Memory& memory, const SortedBlocks& shape, Index most) {
    const Index rows = std::min(most, shape.count()) * shape.mixture_rows();
    const AnyView key = memory.matrix(rows, shape.head_dim);
    return {key, memory.matrix(rows, shape.head_dim)};
  }
};

inline Index mixed_bytes(const SortedBlocks& shape, Index most) {
  const Index rows = std::min(most, shape.count()) * shape.mixture_rows();
  return 2 * stored_bytes<float>(rows * shape.head_dim);
}

/// Overwrites mixtures.
void mix_blocks(const Team& team, const BlockGroup& group, const BlockMixture<ConstView>& mixture,
                const HeadInputs& in, const MixedRows<View>& mixtures);

/// Adds to the keys and values of d_in and to grads.
void mix_blocks_backward(const Team& team, const BlockGroup& group,
                         const BlockMixture<ConstView>& mixture, const HeadInputs& in,
                         const MixedRows<View>& d_mixtures, const HeadGrads& d_in,
                         const BlockMixture<View>& grads);

}  // namespace arena
