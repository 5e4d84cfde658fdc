#pragma once
// Position-wise work goes in blocks of rows that stay in the second cache through all stages, and
// are many enough to pack weights for each.

#include <algorithm>

#include "harness/core/team.hpp"
#include "harness/layers/linear.hpp"

namespace arena {

constexpr Index kRowBlock = 256;

constexpr Index row_blocks(Index len) {
  return (len + kRowBlock - 1) / kRowBlock;
}

/// Calls body(first, count, worker) for each block of rows of a sequence of `len` rows.
template <class Body>
void for_row_blocks(const Team& team, Index len, Body&& body) {
  team.for_each(row_blocks(len), [&](Index b, const Team& worker) {
    const Index first = b * kRowBlock;
    body(first, std::min(kRowBlock, len - first), worker);
  });
}

/// The same, with workers that share blocks of d_weight.
void linear_backward_weights(const Team& team, ConstView x, ConstView d_y, View d_weight,
                             View d_bias);

/// The transpose of parameter i: the prepared one, else a copy on the worker's workspace.
ConstView transposed(Workspace& workspace, const Weights& weights, Index i);

}  // namespace arena
