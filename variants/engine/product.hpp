#pragma once
// Matrix products of any shape by the register tile, within the workspace: for variants that
// multiply along the sequence (length projections, landmarks). In parallel over rows of the result.

#include "harness/core/team.hpp"

namespace arena {

/// What stands in a product: the matrix or its transpose.
struct Factor {
  ConstView matrix;
  bool transposed = false;

  Index rows() const { return transposed ? matrix.cols() : matrix.rows(); }
  Index cols() const { return transposed ? matrix.rows() : matrix.cols(); }
};

inline Factor transpose(const ConstView& matrix) {
  return {matrix, true};
}

enum class Store { kOverwrite, kAdd };

/// to [a.rows, b.cols] = a b, or += a b. The order of additions is fixed by the shapes.
void multiply(const Team& team, const Factor& a, const Factor& b, View to, Store store);

/// Bytes of scratch that a product takes on each worker that takes part.
Index multiply_scratch();

}  // namespace arena
