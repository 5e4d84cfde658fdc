#pragma once
// Matrix products at the sizes of a model's position-wise work (blocks of some 64 rows, widths of
// 32 to 1024): registers hold a tile of the result, operands are read as they lie, nothing is
// packed or allocated. Sums over the inner dimension run in ascending order.

#include "harness/core/matrix.hpp"

namespace arena {

/// What a function does with the values its output already has.
enum class Output { kOverwrite, kAdd };

/// c [m, n] = or += a [m, k] b [k, n].
void multiply(ConstView a, ConstView b, View c, Output output);

/// c [m, n] = a [m, k] b [k, n] + bias [1, n] in each row.
void multiply_add_bias(ConstView a, ConstView b, ConstView bias, View c);

/// c [m, n] = or += a^T b with a [k, m], b [k, n].
void multiply_transposed(ConstView a, ConstView b, View c, Output output);

/// out [cols, rows] = in [rows, cols] transposed.
void transpose(ConstView in, View out);

}  // namespace arena
