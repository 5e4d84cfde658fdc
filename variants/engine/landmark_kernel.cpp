#include "variants/engine/landmark_kernel.hpp"

#include <algorithm>
#include <cmath>

namespace arena {

using Keep = PseudoInverse::Keep;

LandmarkKernel::LandmarkKernel(const Team& team, const Shape& shape)
    : team_(team),
      shape_(shape),
      inverse_(team.workspace(), shape.landmarks, shape.iterations, shape.keep) {
  const auto take = [&](Index rows, Index cols) {
    return DoubleMatrix::take(team.workspace(), rows, cols);
  };
  const auto [m, head_dim, iterations, keep] = shape;
  a_ = take(m, m);
  for (DoubleMatrix* part : {&pooled_, &rows_, &product_}) *part = take(m, head_dim);
  columns_ = take(head_dim, m);
  if (keep == Keep::kLast) return;
  d_a_ = take(m, m);
  d_inverse_ = take(m, m);
}

Index LandmarkKernel::bytes(const Shape& shape) {
  const auto [m, head_dim, iterations, keep] = shape;
  const Index squares = keep == Keep::kAll ? 3 : 1;
  return PseudoInverse::bytes(m, iterations, keep) + squares * DoubleMatrix::bytes(m, m) +
         3 * DoubleMatrix::bytes(m, head_dim) + DoubleMatrix::bytes(head_dim, m);
}

double LandmarkKernel::flops_forward(const Shape& shape) {
  const auto m = static_cast<double>(shape.landmarks), d = static_cast<double>(shape.head_dim);
  return 4 * m * m * d + PseudoInverse::flops_forward(shape.landmarks, shape.iterations);
}

double LandmarkKernel::flops_backward(const Shape& shape) {
  const auto m = static_cast<double>(shape.landmarks), d = static_cast<double>(shape.head_dim);
  return flops_forward(shape) + 8 * m * m * d +
         PseudoInverse::flops_backward(shape.landmarks, shape.iterations);
}

void LandmarkKernel::run(const ConstView& query, const ConstView& key, const ConstView& pooled,
                         float scale, View result) {
  scale_ = static_cast<double>(scale);
  convert(query, rows_);
  convert_transposed(key, columns_);
  multiply(team_, rows_, columns_, a_, {.factor = scale_});
  normalise();
  inverse_.run(team_, a_);
  convert(pooled, pooled_);
  multiply(team_, inverse_.inverse(), pooled_, product_);
  convert(product_, result);
}

/// Rows of scores to probabilities; what fills the matrix up stays zero.
void LandmarkKernel::normalise() {
  for (Index i = 0; i < shape_.landmarks; ++i) {
    double* const row = a_.row(i);
    double* const end = row + shape_.landmarks;
    const double row_max = *std::max_element(row, end);
    double sum = 0;
    for (double* p = row; p != end; ++p) sum += * p = std::exp(*p - row_max);
    for (double* p = row; p != end; ++p) *p /= sum;
  }
}

void LandmarkKernel::backward(const ConstView& query, const ConstView& key,
                              const ConstView& d_result, View d_pooled, View d_query, View d_key) {
  convert(d_result, rows_);
  multiply(team_, {inverse_.inverse(), true}, rows_, product_);
  convert(product_, d_pooled);
  transpose(pooled_, columns_);
  multiply(team_, rows_, columns_, d_inverse_);
  inverse_.backward(team_, d_inverse_, d_a_);
  differentiate_softmax(d_a_);
  const auto add = [&](const DoubleFactor& d_scores, const ConstView& other, View d_landmarks) {
    convert(other, rows_);
    convert(d_landmarks, product_);
    multiply(team_, d_scores, rows_, product_, {.factor = scale_, .add = true});
    convert(product_, d_landmarks);
  };
  add(d_a_, key, d_query);
  add({d_a_, true}, query, d_key);
}

/// d_a by probabilities becomes that by scores.
void LandmarkKernel::differentiate_softmax(DoubleMatrix d_a) const {
  for (Index i = 0; i < a_.rows; ++i) {
    const double* const p = a_.row(i);
    double* const d = d_a.row(i);
    double dot = 0;
    for (Index j = 0; j < a_.cols; ++j) dot += p[j] * d[j];
    for (Index j = 0; j < a_.cols; ++j) d[j] = p[j] * (d[j] - dot);
  }
}

}  // namespace arena
