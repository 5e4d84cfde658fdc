#pragma once
// Exact softmax attention over scores that are more than one product of query and key: a sum of
// score sources writes them tile by tile and gets their derivatives back.
//
//   s = sum of the sources, p_ij = exp(s_ij - log_sum_exp_i), out = p value
//   d_s = p * (d_out value^T - <d_out_i, out_i>), d_value = p^T d_out
//
// Online softmax as in tiled_softmax.hpp, recomputing in backward; a tile of scores is all that is
// ever stored. Results do not depend on the number of threads. A row that sees no key gives 0.

#include <span>

#include "variants/attention.hpp"
#include "variants/engine/score_source.hpp"

namespace arena {

struct ScoredValues {
  std::span<const ScoreSource* const> scores;
  ConstView value;  // [key_len, width]
  const TileMask& mask;
};

/// Writes out [query_len, width] and, where not empty, statistics [2, query_len]: those of
/// softmax_statistics_bytes() in tiled_softmax.hpp. In parallel over blocks of queries.
void explicit_softmax_forward(const Team& team, const ScoredValues& in, View out, View statistics);

/// Overwrites d_value; the sources add to their own gradients. In parallel over chunks of keys.
void explicit_softmax_backward(const Team& team, const ScoredValues& in,
                               const HeadOutputGrads& d_outputs, const ConstView& statistics,
                               View d_value);

/// Bytes of scratch that one call takes on the calling worker, and on each other one.
struct ExplicitSoftmaxScratch {
  Index caller = 0;
  Index other = 0;
};
ExplicitSoftmaxScratch explicit_softmax_forward_scratch();
/// `part_width` is the sum of those of the sources.
ExplicitSoftmaxScratch explicit_softmax_backward_scratch(const Extents& extents, Index part_width,
                                                         Index workers);

}  // namespace arena
