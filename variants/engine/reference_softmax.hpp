#pragma once
// Softmax in double, as it stands in textbooks: for the references of variants, never for kernels.

#include <limits>

#include "harness/core/matrix.hpp"

namespace arena {

/// The score of a key that is not seen.
constexpr double kHiddenScore = -std::numeric_limits<double>::infinity();

/// <query_i, key_j> / sqrt(width).
MatrixD reference_scores(const MatrixD& query, const MatrixD& key);

/// Hides what a causal query does not see (causal_limit in attention.hpp).
void hide_later(MatrixD& scores);

/// Of each row; zeros where all is hidden, or where there is no column.
MatrixD reference_softmax(MatrixD scores);

}  // namespace arena
