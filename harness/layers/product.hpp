#pragma once
// Matrix products of any shape by the register tile: X W, dY W^T, X^T dY and products along the
// sequence. Operands are read as they lie where that is fast, else packed a panel at a time on the
// stack; nothing is allocated and nothing beside the views is read.

#include <span>

#include "harness/core/team.hpp"

namespace arena {

/// What a function does with the values its output already has.
enum class Output { kOverwrite, kAdd };

/// What stands in a product: a matrix or its transpose.
struct Factor {
  // NOLINTBEGIN(google-explicit-constructor): a matrix is a factor as it is
  Factor(const ConstView& m) : matrix(m) {}
  Factor(const View& m) : matrix(m) {}
  Factor(const Matrix& m) : matrix(m) {}
  // NOLINTEND(google-explicit-constructor)
  Factor(const ConstView& m, bool is_transposed) : matrix(m), transposed(is_transposed) {}

  Index rows() const { return transposed ? matrix.cols() : matrix.rows(); }
  Index cols() const { return transposed ? matrix.rows() : matrix.cols(); }

  ConstView matrix;
  bool transposed = false;
};

inline Factor transpose(const ConstView& matrix) {
  return {matrix, true};
}

/// a b, one summand of a result.
struct Term {
  Factor a, b;
};

/// Where the sums of a result start: at a row `bias` [1, cols], at `rows` [rows, cols] (the result
/// itself or a residual), at their sum, or at zero where both are empty.
struct Start {
  ConstView bias{};
  ConstView rows{};
};

/// to [rows, cols] = start + sum of all terms. Each element is summed in the order of the terms and
/// along their inner dimension, however the result is cut into blocks.
void multiply(std::span<const Term> terms, const Start& start, View to);

/// to = or += a b.
void multiply(const Factor& a, const Factor& b, View to, Output output);

/// The same, in parallel over blocks of the result.
void multiply(const Team& team, const Factor& a, const Factor& b, View to, Output output);

/// out [cols, rows] = in [rows, cols] transposed.
void transpose(ConstView in, View out);

}  // namespace arena
