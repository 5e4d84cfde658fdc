#pragma once
// Plain work on views (a View taken by value may be written even where the caller's is const).

#include "harness/core/matrix.hpp"

namespace arena {

/// The first float of row i.
inline float* row_of(View matrix, Index i) {
  return matrix.data() + i * matrix.outerStride();
}
inline const float* row_of(const ConstView& matrix, Index i) {
  return matrix.data() + i * matrix.outerStride();
}

inline void copy_rows(ConstView from, View to) {
  for (Index i = 0; i < from.rows(); ++i) to.row(i) = from.row(i);
}
/// to += from.
inline void add_rows(ConstView from, View to) {
  for (Index i = 0; i < from.rows(); ++i) to.row(i) += from.row(i);
}
inline void zero_rows(View to) {
  for (Index i = 0; i < to.rows(); ++i) to.row(i).setZero();
}

}  // namespace arena
