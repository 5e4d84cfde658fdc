#pragma once
// Backward against central differences along random directions.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "harness/core/matrix.hpp"
#include "harness/core/random.hpp"

namespace arena {

inline Matrix random_matrix(std::uint64_t seed, Index rows, Index cols, float scale = 1) {
  Matrix result(rows, cols);
  fill_normal(RandomKey(seed).fold(Purpose::kTest), scale, View(result));
  return result;
}

/// Sum of out * weights in double: a loss whose gradient by out is `weights`.
inline double weighted_sum(const Matrix& out, const Matrix& weights) {
  return (out.cast<double>().array() * weights.cast<double>().array()).sum();
}

/// `gradient` is d loss / d input; `loss` is called with `input` moved along random directions.
/// Two central differences, extrapolated, are wrong by step^4 and by the loss's rounding errors
/// over step: hence tolerance (relative to the gradient's size) and kRounding.
inline void expect_gradient(View input, ConstView gradient, const std::function<double()>& loss,
                            std::uint64_t seed, double step = 1e-2, double tolerance = 2e-3) {
  constexpr double kRounding = 3e-7;
  const double noise = kRounding * (1 + std::abs(loss())) / step;
  for (std::uint64_t trial = 0; trial < 3; ++trial) {
    const Matrix kept = input;
    Matrix direction = random_matrix(1000 * seed + trial, input.rows(), input.cols());
    direction /= direction.norm();
    const auto moved = [&](double by) {
      for (Index i = 0; i < input.rows(); ++i) {
        input.row(i) = kept.row(i) + static_cast<float>(by) * direction.row(i);
      }
      return loss();
    };
    const auto difference = [&](double by) { return (moved(by) - moved(-by)) / (2 * by); };
    const double measured = (4 * difference(step) - difference(2 * step)) / 3;
    moved(0);
    const double expected = weighted_sum(gradient, direction);
    const double size = gradient.norm() / std::sqrt(static_cast<double>(gradient.size()));
    EXPECT_NEAR(measured, expected, tolerance * (std::abs(expected) + size) + noise);
  }
}

}  // namespace arena
