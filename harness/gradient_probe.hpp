#pragma once
// Whether a gradient is that of a loss, by one central difference.

#include <functional>
#include <span>

#include "harness/core/matrix.hpp"

namespace arena {

struct ProbedTensor {
  ConstView value;
  ConstView gradient;  // same shape
};

/// Relative difference of <gradient, d> and (loss(value + d) - loss(value - d)) / 2 for one small
/// step d of all tensors together: half along the gradient, so that both are far from zero, half
/// random, so that a gradient that lacks a part is seen. `loss` gets the moved tensors in order.
double directional_error(std::span<const ProbedTensor> tensors,
                         const std::function<double(std::span<const Matrix>)>& loss);

}  // namespace arena
