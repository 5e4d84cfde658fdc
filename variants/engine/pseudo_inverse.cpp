#include "variants/engine/pseudo_inverse.hpp"

#include <algorithm>

namespace arena {
namespace {

double product_flops(Index size) {
  const auto m = static_cast<double>(size);
  return 2 * m * m * m;
}

}  // namespace

Index PseudoInverse::iterate_count(Index iterations, Keep keep) {
  return keep == Keep::kAll ? iterations + 1 : std::min(iterations + 1, Index{2});
}

std::size_t PseudoInverse::slot(Index step) const {
  return static_cast<std::size_t>(keep_ == Keep::kAll ? step : step % 2);
}

PseudoInverse::PseudoInverse(Workspace& workspace, Index size, Index iterations, Keep keep)
    : iterations_(iterations),
      keep_(keep),
      iterates_(workspace.take<DoubleMatrix>(iterate_count(iterations, keep))) {
  for (DoubleMatrix& z : iterates_) z = DoubleMatrix::take(workspace, size, size);
  for (DoubleMatrix* part : {&x_, &u1_, &u2_, &u3_}) {
    *part = DoubleMatrix::take(workspace, size, size);
  }
  if (keep == Keep::kLast) return;
  for (DoubleMatrix* part : {&d_u_, &d_u_before_, &d_x_, &d_z_, &transposed_}) {
    *part = DoubleMatrix::take(workspace, size, size);
  }
}

Index PseudoInverse::bytes(Index size, Index iterations, Keep keep) {
  const Index iterates = iterate_count(iterations, keep);
  const Index others = kPolynomial + (keep == Keep::kAll ? kGradients : 0);
  return stored_bytes<DoubleMatrix>(iterates) +
         (iterates + others) * DoubleMatrix::bytes(size, size);
}

double PseudoInverse::flops_forward(Index size, Index iterations) {
  return 4 * static_cast<double>(iterations) * product_flops(size);
}

double PseudoInverse::flops_backward(Index size, Index iterations) {
  return 11 * static_cast<double>(iterations) * product_flops(size);
}

void PseudoInverse::run(const Team& team, DoubleMatrix a) {
  a_ = a;
  start();
  for (Index step = 0; step < iterations_; ++step) {
    const DoubleMatrix z = iterates_[slot(step)];
    evaluate(team, z);
    multiply(team, z, u3_, iterates_[slot(step + 1)], {.factor = 0.25});
  }
}

void PseudoInverse::start() {
  // the sums go into the first row of a matrix that is not in use yet
  double* const sums = x_.row(0);
  std::fill_n(sums, a_.cols, 0.0);
  for (Index i = 0; i < a_.rows; ++i) {
    for (Index j = 0; j < a_.cols; ++j) sums[j] += a_.row(i)[j];
  }
  largest_column_ = std::max_element(sums, sums + a_.cols) - sums;
  largest_sum_ = sums[largest_column_];
  const DoubleMatrix z = iterates_[0];
  transpose(a_, z);
  add_diagonal(z, 1 / largest_sum_, 0, z);
}

/// The polynomial's parts at Z.
void PseudoInverse::evaluate(const Team& team, DoubleMatrix z) {
  multiply(team, a_, z, x_);
  add_diagonal(x_, -1, 7, u1_);
  multiply(team, x_, u1_, u2_, {.factor = -1, .diagonal = 15});
  multiply(team, x_, u2_, u3_, {.factor = -1, .diagonal = 13});
}

void PseudoInverse::backward(const Team& team, DoubleMatrix d_inverse, DoubleMatrix d_a) {
  DoubleMatrix d_next = d_inverse, d_z = d_z_;
  set_zero(d_a);
  for (Index step = iterations_; step-- > 0;) {
    step_backward(team, iterates_[slot(step)], d_next, d_z, d_a);
    std::swap(d_next, d_z);
  }
  start_backward(d_next, d_a);
}

/// d_z = the derivative by Z of a step whose result has d_next; d_a += that by A.
void PseudoInverse::step_backward(const Team& team, DoubleMatrix z, DoubleMatrix d_next,
                                  DoubleMatrix d_z, DoubleMatrix d_a) {
  evaluate(team, z);
  const auto transpose_of = [&](DoubleMatrix m) {
    transpose(m, transposed_);
    return transposed_;
  };
  // Z' = Z U3 / 4
  multiply(team, d_next, transpose_of(u3_), d_z, {.factor = 0.25});
  multiply(team, {z, true}, d_next, d_u_, {.factor = 0.25});
  // U3 = 13 I - X U2
  multiply(team, d_u_, transpose_of(u2_), d_x_, {.factor = -1});
  multiply(team, {x_, true}, d_u_, d_u_before_, {.factor = -1});
  // U2 = 15 I - X U1, U1 = 7 I - X
  multiply(team, d_u_before_, transpose_of(u1_), d_x_, {.factor = -1, .add = true});
  multiply(team, {x_, true}, d_u_before_, d_x_, {.add = true});
  // X = A Z
  multiply(team, d_x_, transpose_of(z), d_a, {.add = true});
  multiply(team, {a_, true}, d_x_, d_z, {.add = true});
}

/// Z_0 = A^T / c; each element of the largest column moves c.
void PseudoInverse::start_backward(DoubleMatrix d_z, DoubleMatrix d_a) const {
  double by_sum = 0;
  for (Index i = 0; i < a_.rows; ++i) {
    for (Index j = 0; j < a_.cols; ++j) {
      d_a.row(i)[j] += d_z.row(j)[i] / largest_sum_;
      by_sum -= d_z.row(j)[i] * a_.row(i)[j] / (largest_sum_ * largest_sum_);
    }
  }
  for (Index i = 0; i < a_.rows; ++i) d_a.row(i)[largest_column_] += by_sum;
}

}  // namespace arena
