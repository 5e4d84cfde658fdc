#pragma once
// The pseudo-inverse of a small matrix by an iteration of third order (Razavi et al. 2014):
//
//   Z_0 = A^T / c,  c = the largest column sum of A (whose rows sum to 1)
//   X = A Z,  U1 = 7 I - X,  U2 = 15 I - X U1,  U3 = 13 I - X U2,  Z' = Z U3 / 4
//
// The residual E = I - A Z becomes 3/4 E^3 + 1/4 E^4. A few steps leave the directions of small
// singular values shrunk, which regularises. In double: near-duplicate rows of A make large entries
// of Z that cancel. Backward differentiates the steps that were made, not the limit.

#include "variants/engine/double_matrix.hpp"

namespace arena {

/// Works in memory of the workspace it is given, for as long as that is not released.
class PseudoInverse {
 public:
  enum class Keep { kLast, kAll };  // all iterates: for backward

  PseudoInverse(Workspace& workspace, Index size, Index iterations, Keep keep);
  static Index bytes(Index size, Index iterations, Keep keep);
  /// Multiply-adds of both, times two.
  static double flops_forward(Index size, Index iterations);
  static double flops_backward(Index size, Index iterations);

  /// A is square, not negative, its rows sum to 1; it must outlive backward.
  void run(const Team& team, DoubleMatrix a);
  DoubleMatrix inverse() const { return iterates_[slot(iterations_)]; }
  /// Overwrites d_a with the derivative through all steps, given that of inverse(), which is used
  /// up.
  void backward(const Team& team, DoubleMatrix d_inverse, DoubleMatrix d_a);

 private:
  static constexpr Index kPolynomial = 4;  // X, U1, U2, U3
  static constexpr Index kGradients = 5;   // what backward takes beside

  static Index iterate_count(Index iterations, Keep keep);
  std::size_t slot(Index step) const;
  void start();
  void evaluate(const Team& team, DoubleMatrix z);
  void step_backward(const Team& team, DoubleMatrix z, DoubleMatrix d_next, DoubleMatrix d_z,
                     DoubleMatrix d_a);
  void start_backward(DoubleMatrix d_z, DoubleMatrix d_a) const;

  Index iterations_;
  Keep keep_;
  std::span<DoubleMatrix> iterates_;
  DoubleMatrix x_, u1_, u2_, u3_;
  DoubleMatrix d_u_, d_u_before_, d_x_, d_z_, transposed_;
  DoubleMatrix a_{};
  double largest_sum_ = 1;
  Index largest_column_ = 0;
};

}  // namespace arena
