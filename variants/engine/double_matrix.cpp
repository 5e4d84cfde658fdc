#include "variants/engine/double_matrix.hpp"

#include <algorithm>
#include <cassert>

#include "harness/layers/micro_kernel.hpp"

namespace arena {
namespace {

using simd::DoubleVec;

constexpr Index kWidth = static_cast<Index>(DoubleVec::size);
constexpr Index kSharedRows = 32;  // of a product that one worker takes

Index stride_of(Index cols) {
  return (round_up(cols, DoubleMatrix::kEdge) / DoubleMatrix::kEdge | 1) * DoubleMatrix::kEdge;
}

/// a(r, t) for the rows of a tile.
struct Operand {
  const double* data;
  Index row_step;
  Index depth_step;
};

/// to [kTileRows, Vectors * kWidth] = or += factor a b.
template <int Vectors>
void tile(const Operand& a, const double* b, Index b_stride, Index depth, double* to,
          Index to_stride, const DoubleProduct& how) {
  DoubleVec sums[kTileRows][Vectors];
  const auto for_each = [&](auto&& body) ARENA_INLINE_LAMBDA {
    unrolled<kTileRows>([&](auto r) ARENA_INLINE_LAMBDA {
      unrolled<Vectors>([&](auto c) ARENA_INLINE_LAMBDA { body(r, c); });
    });
  };
  for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA { sums[r][c] = DoubleVec(0.0); });
  for (Index t = 0; t < depth; ++t) {
    DoubleVec lanes[Vectors];
    unrolled<Vectors>([&](auto c) ARENA_INLINE_LAMBDA {
      lanes[c] = DoubleVec::load_unaligned(b + t * b_stride + c * kWidth);
    });
    unrolled<kTileRows>([&](auto r) ARENA_INLINE_LAMBDA {
      const DoubleVec factor(a.data[r * a.row_step + t * a.depth_step]);
      unrolled<Vectors>(
          [&](auto c) ARENA_INLINE_LAMBDA { simd::add_product(sums[r][c], factor, lanes[c]); });
    });
  }
  const DoubleVec factor(how.factor);
  for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
    double* const place = to + r * to_stride + c * kWidth;
    DoubleVec result = factor * sums[r][c];
    if (how.add) result = result + DoubleVec::load_unaligned(place);
    result.store_unaligned(place);
  });
}

template <int Vectors = kTileVectors, class Body>
void with_double_vectors(Index cols, const Body& body) {
  if constexpr (Vectors > 1) {
    if (cols < Vectors * kWidth) return with_double_vectors<Vectors - 1>(cols, body);
  }
  body.template operator()<Vectors>();
}

/// Rows [first, first + count) of a product, panel by panel.
void multiply_rows(const DoubleFactor& a, const DoubleMatrix& b, const DoubleMatrix& to,
                   Index first, Index count, const DoubleProduct& how) {
  const Index row_step = a.transposed ? 1 : a.matrix.stride;
  const Index depth_step = a.transposed ? a.matrix.stride : 1;
  for (Index col = 0; col < to.cols;) {
    with_double_vectors(to.cols - col, [&]<int Vectors>() {
      for (Index row = first; row < first + count; row += kTileRows) {
        tile<Vectors>({a.matrix.data + row * row_step, row_step, depth_step}, b.data + col,
                      b.stride, b.rows, to.row(row) + col, to.stride, how);
      }
      col += Vectors * kWidth;
    });
  }
  if (how.diagonal == 0) return;
  for (Index i = first; i < first + count; ++i) to.row(i)[i] += how.diagonal;
}

}  // namespace

DoubleMatrix DoubleMatrix::take(Workspace& workspace, Index rows, Index cols) {
  const Index stride = stride_of(cols), padded = round_up(rows, kEdge);
  return {workspace.take<double>(padded * stride).data(), padded, round_up(cols, kEdge), stride};
}

Index DoubleMatrix::bytes(Index rows, Index cols) {
  return stored_bytes<double>(round_up(rows, kEdge) * stride_of(cols));
}

void set_zero(DoubleMatrix to) {
  for (Index i = 0; i < to.rows; ++i) std::fill_n(to.row(i), to.cols, 0.0);
}

void convert(ConstView from, DoubleMatrix to) {
  set_zero(to);
  for (Index i = 0; i < from.rows(); ++i) {
    for (Index j = 0; j < from.cols(); ++j) to.row(i)[j] = static_cast<double>(from(i, j));
  }
}

void convert_transposed(ConstView from, DoubleMatrix to) {
  set_zero(to);
  for (Index i = 0; i < from.cols(); ++i) {
    for (Index j = 0; j < from.rows(); ++j) to.row(i)[j] = static_cast<double>(from(j, i));
  }
}

void convert(DoubleMatrix from, View to) {
  for (Index i = 0; i < to.rows(); ++i) {
    for (Index j = 0; j < to.cols(); ++j) to(i, j) = static_cast<float>(from.row(i)[j]);
  }
}

void transpose(DoubleMatrix from, DoubleMatrix to) {
  constexpr Index kEdge = DoubleMatrix::kEdge;
  for (Index i = 0; i < from.rows; i += kEdge) {
    for (Index j = 0; j < from.cols; ++j) {
      for (Index k = 0; k < kEdge; ++k) to.row(j)[i + k] = from.row(i + k)[j];
    }
  }
}

void add_diagonal(DoubleMatrix from, double factor, double diagonal, DoubleMatrix to) {
  for (Index i = 0; i < from.rows; ++i) {
    for (Index j = 0; j < from.cols; ++j) to.row(i)[j] = factor * from.row(i)[j];
    to.row(i)[i] += diagonal;
  }
}

void multiply(const Team& team, const DoubleFactor& a, DoubleMatrix b, DoubleMatrix to,
              const DoubleProduct& how) {
  assert(a.cols() == b.rows && a.rows() == to.rows && b.cols == to.cols);
  team.for_each((to.rows + kSharedRows - 1) / kSharedRows, [&](Index i, const Team&) {
    const Index first = i * kSharedRows;
    multiply_rows(a, b, to, first, std::min(kSharedRows, to.rows - first), how);
  });
}

}  // namespace arena
