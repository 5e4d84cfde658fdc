#pragma once
// The register tile under every engine: at[r][lanes] += sum over t of a(r, t) * b[t][lanes], with a
// broadcast from memory and b read as vectors. Everything else is which a, which b, and what is
// done with the tile before and after.

#include <algorithm>
#include <utility>

#include "harness/layers/simd.hpp"

#define ARENA_INLINE [[gnu::always_inline]] inline
#define ARENA_INLINE_LAMBDA __attribute__((always_inline))

namespace arena {

constexpr Index round_up(Index count, Index multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// 4 x 4 accumulators of 32 registers, 4 x 3 of 16 with a multiply-add, 4 x 2 without: enough to
// hide its latency, and few loads for each.
constexpr int kTileRows = 4;
constexpr int kTileVectors = simd::kWidth == 16 ? 4 : simd::kWidth == 8 ? 3 : 2;
constexpr Index kTileLanes = kTileVectors * simd::kWidth;
/// Rows of a tile so many vectors wide: narrow ones leave room for more, and need them to hide the
/// latency.
template <int Vectors>
constexpr int kRowsFor = 2 * Vectors <= kTileVectors ? 2 * kTileRows : kTileRows;
constexpr int kMostRows = kRowsFor<1>;

constexpr int kUnroll = 8;  // depth steps

constexpr Index kCacheLine = 16;  // floats

/// body(0), body(1), ... body(kCount - 1) with constants, written out: the compiler then keeps an
/// array that is indexed by them in registers, which it does not always do for loops.
template <int kCount, class Body>
ARENA_INLINE void unrolled(Body&& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) ARENA_INLINE_LAMBDA {
    (body(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, kCount>{});
}

/// a(r, t) = row r at t; all rows of the tile are read.
struct RowTile {
  const float* data;
  Index stride;

  ARENA_INLINE float at(int r, Index t) const { return data[r * stride + t]; }
};

/// a(r, t) = data[t * stride + r]: the transpose of rows; all rows of the tile are read.
struct ColumnOperand {
  const float* data;
  Index stride;

  ARENA_INLINE float at(int r, Index t) const { return data[t * stride + r]; }
};

template <int Vectors = kTileVectors, int Rows = kTileRows>
struct Accumulators {
  simd::Vec at[Rows][Vectors];

  /// body(r, c) for each row and vector, both constants.
  template <class Body>
  ARENA_INLINE static void for_each(Body&& body) {
    unrolled<Rows>([&](auto r) ARENA_INLINE_LAMBDA {
      unrolled<Vectors>([&](auto c) ARENA_INLINE_LAMBDA { body(r, c); });
    });
  }

  ARENA_INLINE void clear() {
    for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA { at[r][c] = simd::Vec(0.0F); });
  }
  ARENA_INLINE void load(const float* from, Index stride) {
    for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      at[r][c] = simd::load(from + r * stride + c * simd::kWidth);
    });
  }
  ARENA_INLINE void store(float* to, Index stride) const {
    for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      simd::store(to + r * stride + c * simd::kWidth, at[r][c]);
    });
  }
  /// at[r] += row, for all rows.
  ARENA_INLINE void add_row(const float* row) {
    for_each([&](auto r, auto c)
                 ARENA_INLINE_LAMBDA { at[r][c] = at[r][c] + simd::load(row + c * simd::kWidth); });
  }
  /// to[r][:] = at[r] for the first `count` rows.
  ARENA_INLINE void store_to(float* to, Index stride, Index count) const {
    for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      if (r < count) simd::store(to + r * stride + c * simd::kWidth, at[r][c]);
    });
  }
  /// to[r][:] += at[r] for the first `count` rows.
  ARENA_INLINE void add_to(float* to, Index stride, Index count) const {
    for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      if (r >= count) return;
      float* const place = to + r * stride + c * simd::kWidth;
      simd::store(place, simd::load(place) + at[r][c]);
    });
  }

  /// at[r][:] += sum over t < depth of a(r, t) * b[t * b_stride + lanes].
  template <class Operand>
  ARENA_INLINE void multiply_add(const Operand& a, const float* b, Index b_stride, Index depth) {
    multiply_add(a, b, b_stride, depth, [](auto) {});
  }

  /// The same with other work woven in, to fill the slots that multiply-adds leave free: weft(u)
  /// after step u = 0, 1, ... of each kUnroll steps; not after the last depth % kUnroll steps.
  template <class Operand, class Weft>
  ARENA_INLINE void multiply_add(const Operand& a, const float* b, Index b_stride, Index depth,
                                 Weft&& weft) {
    Index t = 0;
    for (; t + kUnroll <= depth; t += kUnroll) {
      unrolled<kUnroll>([&](auto u) ARENA_INLINE_LAMBDA {
        step(a, t + u, b + (t + u) * b_stride);
        weft(u);
      });
    }
    for (; t < depth; ++t) step(a, t, b + t * b_stride);
  }

 private:
  /// Whether row r of the operand holds ones: a sum, which needs no multiplier.
  template <class Operand>
  static constexpr bool is_ones(int r) {
    if constexpr (requires { Operand::kOnes; }) return r == Operand::kOnes;
    return false;
  }

  template <class Operand>
  ARENA_INLINE void step(const Operand& a, Index t, const float* b) {
    simd::Vec lanes[Vectors];
    unrolled<Vectors>(
        [&](auto c) ARENA_INLINE_LAMBDA { lanes[c] = simd::load_once(b + c * simd::kWidth); });
    unrolled<Rows>([&](auto r) ARENA_INLINE_LAMBDA {
      if constexpr (is_ones<Operand>(r)) {
        unrolled<Vectors>([&](auto c) ARENA_INLINE_LAMBDA { simd::add_term(at[r][c], lanes[c]); });
      } else {
        const simd::Vec factor(a.at(r, t));
        unrolled<Vectors>(
            [&](auto c) ARENA_INLINE_LAMBDA { simd::add_product(at[r][c], factor, lanes[c]); });
      }
    });
  }
};

/// body.operator()<Vectors>() with the fewest vectors that hold `lanes` <= kTileLanes lanes.
template <int Vectors = kTileVectors, class Body>
ARENA_INLINE void with_vectors(Index lanes, const Body& body) {
  if constexpr (Vectors > 1) {
    if (lanes <= (Vectors - 1) * simd::kWidth) return with_vectors<Vectors - 1>(lanes, body);
  }
  body.template operator()<Vectors>();
}

/// A read-only block of rows that a ColumnOperand may read in whole tiles.
struct Rows {
  const float* data;
  Index stride;
};

/// `count` rows of `from` starting at `first`, readable in whole tiles either way: as they lie
/// where their width and number are multiples of kTileRows and they stand close together, else
/// copied into `space`, filled up with zeros in width and with the last row in number. The rows
/// after them, which are likely wanted next, are fetched into the second-level cache.
inline Rows contiguous_rows(const ConstView& from, Index first, Index count, float* space) {
  const Index cols = from.cols(), width = round_up(cols, kTileRows), stride = from.outerStride();
  if (width == cols && stride == cols && count % kTileRows == 0) {
    return {from.data() + first * cols, cols};
  }
  const Index last = from.rows() - 1;
  for (Index i = 0; i < count; ++i) {
    const float* const row = from.data() + (first + i) * stride;
    const float* const next = from.data() + std::min(first + count + i, last) * stride;
    for (Index d = 0; d < cols; d += kCacheLine) __builtin_prefetch(next + d, 0, 2);
    std::copy_n(row, cols, space + i * width);
    std::fill(space + i * width + cols, space + (i + 1) * width, 0.0F);
  }
  for (Index i = count; i < round_up(count, kTileRows); ++i) {
    std::copy_n(space + (count - 1) * width, width, space + i * width);
  }
  return {space, width};
}

/// to[c][r] = factor_of(c) * from[r][c] for r < rows, c < cols; strides in floats from row to row.
template <class FactorOf>
void copy_transposed_by(const FactorOf& factor_of, const float* from, Index from_stride, Index rows,
                        Index cols, float* to, Index to_stride) {
  constexpr Index kWidth = simd::kWidth;
  for (Index r = 0; r < rows; r += kWidth) {
    const Index height = std::min(kWidth, rows - r);
    for (Index c = 0; c < cols; c += kWidth) {
      const Index width = std::min(kWidth, cols - c);
      const float* const corner = from + r * from_stride + c;
      float* const place = to + c * to_stride + r;
      simd::Vec block[kWidth];
      if (height == kWidth && width == kWidth) {
        for (Index i = 0; i < kWidth; ++i) block[i] = simd::load(corner + i * from_stride);
        simd::transpose(block);
        for (Index j = 0; j < kWidth; ++j) {
          simd::store(place + j * to_stride, simd::Vec(factor_of(c + j)) * block[j]);
        }
        continue;
      }
      for (Index i = 0; i < kWidth; ++i) {
        block[i] = i < height ? simd::load_part(corner + i * from_stride, width) : simd::Vec(0.0F);
      }
      simd::transpose(block);
      for (Index j = 0; j < width; ++j) {
        simd::store_part(place + j * to_stride, simd::Vec(factor_of(c + j)) * block[j], height);
      }
    }
  }
}
inline void copy_transposed(const float* from, Index from_stride, Index rows, Index cols,
                            float factor, float* to, Index to_stride) {
  copy_transposed_by([&](Index) { return factor; }, from, from_stride, rows, cols, to, to_stride);
}

/// out[d * kTileLanes + i] = scale * from(first + i, d), zero for i in [count, kTileLanes).
inline void pack_transposed(const ConstView& from, Index first, Index count, float scale,
                            float* out) {
  if (count < kTileLanes) std::fill_n(out, from.cols() * kTileLanes, 0.0F);
  copy_transposed(from.data() + first * from.outerStride(), from.outerStride(), count, from.cols(),
                  scale, out, kTileLanes);
}

}  // namespace arena
