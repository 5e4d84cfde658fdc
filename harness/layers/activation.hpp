#pragma once
// Elementwise functions, row by row.

#include "harness/core/matrix.hpp"

namespace arena {

/// y = x Phi(x) with the exact normal distribution function, to 3e-7 absolute.
void gelu(ConstView x, View y);
/// y = gelu(x) and d_x = d_y * gelu'(x); d_x may be d_y itself.
void gelu_backward(ConstView x, ConstView d_y, View y, View d_x);

/// x = max(x, 0), in place.
void relu(View x);
/// d_y = 0 where y, relu's result, is 0; in place.
void relu_backward(ConstView y, View d_y);

/// y = x above 0, e^x - 1 below.
void elu(ConstView x, View y);
/// d_y *= elu'(x), in place.
void elu_backward(ConstView x, View d_y);

}  // namespace arena
