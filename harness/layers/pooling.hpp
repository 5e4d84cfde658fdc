#pragma once
// Mean over positions.

#include "harness/core/matrix.hpp"

namespace arena {

/// y [1, width] += sum of the rows of x / len: called for each block of rows of one sequence.
void mean_pool_block(ConstView x, Index len, View y);
/// Each row of d_x = d_y [1, width] / len.
void mean_pool_backward(ConstView d_y, Index len, View d_x);

}  // namespace arena
