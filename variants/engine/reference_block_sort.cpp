#include "variants/engine/reference_block_sort.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "variants/engine/block_sort.hpp"

namespace arena {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

/// log(exp a + exp b), not both of them kNothing.
double log_add(double a, double b) {
  return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));
}

}  // namespace

MatrixD reference_sort(const Problem& p, const Call& call, const MatrixD& key,
                       const MatrixD& sort) {
  const bool causal = p.setup.causal, noisy = call.training && p.options.on("gumbel");
  const Index b = p.options.integer("block"), n = (key.rows() + b - 1) / b;
  MatrixD r(n, n);
  for (Index i = 0; i < n; ++i) {
    const Index begin = causal ? 0 : i * b, end = std::min(key.rows(), i * b + (causal ? 1 : b));
    const MatrixD sum = key.middleRows(begin, end - begin).colwise().sum() * sort.leftCols(n);
    r.row(i) = sum / (p.options.real("temperature") * static_cast<double>(end - begin));
    for (Index l = 0; l < n && noisy; ++l) r(i, l) += BlockSort::gumbel(call.key, i, l);
  }
  for (Index step = 0; step < p.options.integer("iterations"); ++step) {
    for (Index i = 0; i < n; ++i) {
      double sum = kNothing;
      for (Index l = 0; l < (causal ? i : n); ++l) sum = log_add(sum, r(i, l));
      r.row(i).array() -= sum;
    }
    for (Index l = 0; l < n; ++l) {
      double sum = kNothing;
      for (Index i = causal ? l + 1 : 0; i < n; ++i) {
        sum = log_add(sum, r(i, l));
        if (causal) r(i, l) -= sum;
      }
      if (!causal) r.col(l).array() -= sum;
    }
  }
  return r;
}

MatrixD reference_mixture(const Problem& p, const MatrixD& sorted, const MatrixD& x, Index i) {
  const Index b = p.options.integer("block");
  MatrixD mixed = MatrixD::Zero(std::min(b, x.rows()), x.cols());
  for (Index t = 0; t < mixed.rows(); ++t) {
    const Index count = p.setup.causal ? i : (x.rows() - t + b - 1) / b;  // that have row t
    double sum = kNothing;
    for (Index l = 0; l < count; ++l) sum = log_add(sum, sorted(i, l));
    for (Index l = 0; l < count; ++l) {
      mixed.row(t) += std::exp(sorted(i, l) - sum) * x.row(l * b + t);
    }
  }
  return mixed;
}

/// Column 1 + i of the keys marks block i; of the marks that a causal summary has collected, the
/// latest must win.
void sort_to_previous(HeadProblem& problem, Index block) {
  const Index count = problem.extents.key_len / block;
  problem.inputs.query.middleCols(1, count).setZero();
  problem.inputs.key.middleCols(1, count).setZero();
  problem.parameters[0].setZero();
  for (Index i = 0; i < count; ++i) {
    problem.inputs.key.block(i * block, 1 + i, block, 1).setOnes();
    problem.parameters[0](1 + i, (i + count - 1) % count) =
        std::pow(100.0F, static_cast<float>(i + 1));
  }
}

}  // namespace arena
