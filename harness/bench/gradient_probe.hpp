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

/// kTogether runs the loss twice in all, and sees a third as little of what is wrong with one
/// tensor of three: for losses that take long.
enum class Moved { kEach, kTogether };

/// For each tensor alone, or for all together: <gradient, d> against (loss(value + d) -
/// loss(value - d)) / 2 for one small step d, half along the gradient, so that both are far from
/// zero, half random, so that a gradient that lacks a part is seen. Returns the largest relative
/// difference; a tensor that hardly matters (a thousandth of the one that matters most) is taken
/// relative to that thousandth. Together, steps are scaled so that all tensors matter alike.
/// `loss` gets all tensors in order.
double directional_error(std::span<const ProbedTensor> tensors,
                         const std::function<double(std::span<const Matrix>)>& loss,
                         Moved moved = Moved::kEach);

}  // namespace arena
