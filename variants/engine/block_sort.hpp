#pragma once
// With what weights the blocks of a sequence are mixed, learned from their keys (Sinkhorn
// attention's sort net).
//
//   s_i = mean of the keys of block i (causal: of all keys up to its first one)  [blocks, d]
//   r = s W / temperature + noise,  W [d, max_blocks], balanced by sinkhorn_balance.hpp
//   weights = softmax of the rows of r; partial = the same without the last block, whose rows end
//   early

#include <optional>

#include "variants/engine/sinkhorn_balance.hpp"
#include "variants/engine/sorted_blocks.hpp"

namespace arena {

class BlockSort {
 public:
  BlockSort(const SortedBlocks& blocks, Index rounds, float temperature);

  Index frame_bytes() const;
  /// Scratch of a whole head, given that of what uses the mixture.
  SoftmaxScratch forward_scratch(bool saves, const SoftmaxScratch& inner) const;
  SoftmaxScratch backward_scratch(const SoftmaxScratch& inner) const;

  /// -log(-log u), u uniform inside (0, 1), for pair (i, l) of a key's stream.
  static double gumbel(RandomKey key, Index i, Index l);

  /// The mixture's weights, on the team's workspace; leaves in frame (null: nothing) what backward
  /// needs. With Gumbel noise where a key is given.
  BlockMixture<View> forward(const Team& team, const ConstView& key, const ConstView& sort,
                             std::optional<RandomKey> noise, Frame* frame) const;

  /// Backward in two steps, the mixture's own between them, on the team's workspace.
  struct Backward {
    ConstView summaries;
    View steps;
    BlockMixture<View> mixture, d_mixture;  // d_mixture starts at 0
  };
  Backward backward_begin(const Team& team, FrameReader& saved) const;
  /// Adds to d_sort and d_key.
  void backward_end(const Team& team, const Backward& begun, const ConstView& sort, View d_sort,
                    View d_key) const;

 private:
  BlockMixture<View> take_mixture(Workspace& workspace) const;
  void balance(const ConstView& logits, View steps, const BlockMixture<View>& mixture) const;
  void summarise(const ConstView& key, View summaries) const;
  void add_summaries_gradient(View d_summaries, View d_key) const;
  /// The keys that the summary of block i has beside those of the summary before (causal), or all.
  Range summed(Index i) const;
  /// Over how many keys it is a mean.
  Index divisor(Index i) const;
  Index square_bytes() const;
  Index mixture_bytes() const;
  Index summaries_bytes() const;

  SortedBlocks blocks_;
  Index count_;
  Index rounds_;
  float temperature_;
  SinkhornBalance balance_;
};

}  // namespace arena
