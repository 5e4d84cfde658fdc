#pragma once
// Softmax attention of a sequence to itself where each row sees its neighbours in sorted order: the
// rows are sorted in one or several rounds, and chunks of neighbours see each other.
//
//   out_i = sum_e e^(s_ie) value_e / sum_e e^(s_ie),  s_ij = <query_i, a_j query_j>, over what i
//   sees in all rounds. What is seen twice counts twice. A row does not see itself, unless it sees
//   nothing else: then out_i = value_i.

#include <cstdint>
#include <span>

#include "variants/engine/tile_mask.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {

/// How rounds of `len` places are cut: each into `per_round` chunks of `size` places, the last of
/// which may be shorter. All chunks form a ring, in which a chunk sees itself, `before` chunks
/// before it and `after` after it, each once.
struct SortedChunks {
  SortedChunks(Index len, Index rounds, Index size, Index before, Index after);

  Index count() const { return rounds * per_round; }
  /// Pairs of places whose chunks see each other.
  Index pairs() const;

  Index len, rounds, size, per_round, before, after;
};

/// What is sorted how.
struct SortedRounds {
  SortedChunks chunks;
  std::span<const std::int32_t> order;   // [rounds, len]: the row at each place, in each round each
  std::span<const float> inverse_norms;  // [len], a_j = (|query_j|^2 + constant)^(-1/2)
  bool causal = false;                   // later rows are not seen
};

/// (|query_j|^2 + epsilon d)^(-1/2) of all rows [len, d], in the team's workspace.
std::span<const float> inverse_norms(const Team& team, const ConstView& query, float epsilon);

/// Of in.query and in.value writes out [len, head_dim] and statistics [2, len] (tiled_softmax.hpp).
void sorted_forward(const Team& team, const SortedRounds& rounds, const HeadInputs& in, View out,
                    View statistics);

/// Overwrites d_in.query and d_in.value.
void sorted_backward(const Team& team, const SortedRounds& rounds, const HeadInputs& in,
                     const HeadOutputGrads& d_outputs, const ConstView& statistics, HeadGrads d_in);

/// Bytes of scratch that one call takes with a team of `workers`, at most.
SoftmaxScratch sorted_forward_scratch(const SortedChunks& chunks, Index head_dim, Index workers);
SoftmaxScratch sorted_backward_scratch(const SortedChunks& chunks, Index head_dim, Index workers);

}  // namespace arena
