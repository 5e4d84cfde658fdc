#pragma once
// Attention of each block of a sequence to itself and to a mixture of blocks (Sinkhorn attention).
//
//   out_i = attention of block i (block_pair.hpp) to itself and its mixture (block_mixing.hpp)
//
// Causal: W is strictly lower, and block 0 finds a null row in place of a mixture. A last block
// that is short has no rows from t = last_rows on: there W is `partial`, whose last column is 0.
// Mixtures are made for some blocks at a time, so that memory does not grow with the length.

#include "variants/engine/block_pair.hpp"

namespace arena {

struct SortedBlocks {
  Index len;
  Index block;  // rows of all blocks but the last
  Index head_dim;
  bool causal;
  bool added;  // two softmaxes, not one
  float scale;

  Index count() const { return (len + block - 1) / block; }
  Index last_rows() const { return len - (count() - 1) * block; }
  Index mixture_rows() const { return std::min(block, len); }
  /// Whether mixtures lack the last block in some rows.
  bool has_partial() const { return !causal && count() > 1 && last_rows() < block; }
  BlockPair pair(Index i) const;

  Index frame_bytes() const;
  SoftmaxScratch forward_scratch(Index workers) const;
  SoftmaxScratch backward_scratch(Index workers) const;
  double flops_forward() const;
  double flops_backward() const;

 private:
  SoftmaxScratch scratch(Index workers, const SoftmaxScratch& alone,
                         const SoftmaxScratch& shared) const;
  BlockPair largest_pair() const;
  double mixing_flops() const;  // of keys and values
  double pair_flops() const;    // of one of the products over all pairs
};

/// Matrices are [count, at least count]; null rows [1, head_dim], causal only.
template <class AnyView>
struct BlockMixture {
  AnyView weights, partial;  // partial: where has_partial()
  AnyView null_key{}, null_value{};
};

/// Writes out; leaves in frame (null: nothing) what backward needs.
void sorted_blocks_forward(const Team& team, const SortedBlocks& shape, const HeadInputs& in,
                           const BlockMixture<ConstView>& mixture, View out, Frame* frame);

/// Overwrites d_in; adds to grads.
void sorted_blocks_backward(const Team& team, const SortedBlocks& shape, const HeadInputs& in,
                            const BlockMixture<ConstView>& mixture,
                            const HeadOutputGrads& d_outputs, FrameReader& saved, HeadGrads d_in,
                            const BlockMixture<View>& grads);

}  // namespace arena
