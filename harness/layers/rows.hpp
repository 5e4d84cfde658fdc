#pragma once
// Plain work on views (a View taken by value may be written even where the caller's is const).

#include "harness/layers/simd.hpp"

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
/// to[i] = <a_i, b_i>.
inline void dots_of_rows(const ConstView& a, const ConstView& b, float* to) {
  for (Index first = 0; first < a.rows(); first += simd::kWidth) {
    const simd::Vec dots = simd::row_sums([&](Index lane) {
      const Index i = std::min(first + lane, a.rows() - 1);
      const float *const a_row = row_of(a, i), *const b_row = row_of(b, i);
      simd::Vec sum(0.0F);
      simd::for_vectors(a.cols(), [&](Index d, Index count) {
        sum = simd::load_part(a_row + d, count) * simd::load_part(b_row + d, count) + sum;
      });
      return sum;
    });
    simd::store_part(to + first, dots, std::min(simd::kWidth, a.rows() - first));
  }
}

}  // namespace arena
