#include "variants/engine/reference_softmax.hpp"

#include <algorithm>
#include <cmath>

namespace arena {

MatrixD reference_scores(const MatrixD& query, const MatrixD& key) {
  return query * key.transpose() / std::sqrt(static_cast<double>(query.cols()));
}

void hide_later(MatrixD& scores) {
  for (Index i = 0; i < scores.rows(); ++i) {
    const Index seen = std::max(Index{0}, i + 1 + scores.cols() - scores.rows());
    scores.row(i).tail(scores.cols() - seen).setConstant(kHiddenScore);
  }
}

MatrixD reference_softmax(MatrixD scores) {
  for (Index i = 0; i < scores.rows(); ++i) {
    auto row = scores.row(i);
    const double largest = row.size() > 0 ? row.maxCoeff() : kHiddenScore;
    if (largest == kHiddenScore) {
      row.setZero();
      continue;
    }
    row = (row.array() - largest).exp();
    row /= row.sum();
  }
  return scores;
}

}  // namespace arena
