#pragma once
// Small matrices in double and their products: for mechanisms that invert what float cannot.

#include <span>

#include "harness/core/team.hpp"

namespace arena {

/// Row-major, in a workspace. Rows and columns are filled up with zeros to multiples of kEdge, so
/// that products have no edges; rows are an odd number of cache lines apart, so that columns spread
/// over all sets of a cache.
struct DoubleMatrix {
  static constexpr Index kEdge = 8;

  static DoubleMatrix take(Workspace& workspace, Index rows, Index cols);
  static Index bytes(Index rows, Index cols);

  double* row(Index i) const { return data + i * stride; }

  double* data = nullptr;
  Index rows = 0;  // with the zeros
  Index cols = 0;
  Index stride = 0;
};

void set_zero(DoubleMatrix to);
/// Writes all of `to`, its zeros included; `from` is as large as was asked of take().
void convert(ConstView from, DoubleMatrix to);
void convert_transposed(ConstView from, DoubleMatrix to);
/// Writes the corner of `from` that `to` holds.
void convert(DoubleMatrix from, View to);
/// to = from^T.
void transpose(DoubleMatrix from, DoubleMatrix to);
/// to = diagonal I + factor from.
void add_diagonal(DoubleMatrix from, double factor, double diagonal, DoubleMatrix to);

/// What stands at the left of a product: a matrix or its transpose.
struct DoubleFactor {
  // NOLINTNEXTLINE(google-explicit-constructor): a matrix is a factor as it is
  DoubleFactor(const DoubleMatrix& m, bool is_transposed = false)
      : matrix(m), transposed(is_transposed) {}

  Index rows() const { return transposed ? matrix.cols : matrix.rows; }
  Index cols() const { return transposed ? matrix.rows : matrix.cols; }

  DoubleMatrix matrix;
  bool transposed;
};

/// to = diagonal I + factor a b, or to += factor a b.
struct DoubleProduct {
  double factor = 1;
  double diagonal = 0;
  bool add = false;
};

/// In parallel over blocks of rows of `to`, which is neither a nor b.
void multiply(const Team& team, const DoubleFactor& a, DoubleMatrix b, DoubleMatrix to,
              const DoubleProduct& how = {});

}  // namespace arena
