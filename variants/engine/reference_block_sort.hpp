#pragma once
// The formulas of block_sort.hpp and block_mixing.hpp once more, in double, by plain sums over the
// pairs that exist, for the variants that sort blocks and have options block, iterations,
// temperature and gumbel.

#include "variants/attention.hpp"

namespace arena {

/// The sort net's logits [blocks, blocks] after Sinkhorn's rounds.
MatrixD reference_sort(const Problem& problem, const Call& call, const MatrixD& key,
                       const MatrixD& sort);

/// The mixture of the blocks of x that block i may draw on; causal: i > 0.
MatrixD reference_mixture(const Problem& problem, const MatrixD& sorted, const MatrixD& x, Index i);

/// Edits inputs and parameter 0 such that block i is sorted to see the block before it (not causal:
/// the first one sees the last).
void sort_to_previous(HeadProblem& problem, Index block);

}  // namespace arena
