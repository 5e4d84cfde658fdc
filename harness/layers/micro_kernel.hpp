#pragma once
// The register tile under every engine: at[r][lanes] += sum over t of a(r, t) * b[t][lanes], with a
// broadcast from memory and b read as vectors. Everything else is which a, which b, and what is
// done with the tile before and after.

#include <algorithm>

#include "harness/layers/simd.hpp"

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

/// a(r, t) = row r at t; all rows of the tile are read.
struct RowTile {
  const float* data;
  Index stride;

  ARENA_INLINE float at(int r, Index t) const { return data[r * stride + t]; }
  /// Row 0 of it is row r of this.
  RowTile from_row(Index r) const { return {data + r * stride, stride}; }
};

/// a(r, t) = data[t * stride + r]: the transpose of rows; all rows of the tile are read.
struct ColumnOperand {
  const float* data;
  Index stride;

  ARENA_INLINE float at(int r, Index t) const { return data[t * stride + r]; }
  ColumnOperand from_row(Index r) const { return {data + r, stride}; }
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
  /// at[r] *= factors[r], for all rows.
  ARENA_INLINE void scale_rows(const float* factors) {
    for_each([&](auto r, auto c)
                 ARENA_INLINE_LAMBDA { at[r][c] = simd::Vec(factors[r]) * at[r][c]; });
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
  template <class Operand>
  ARENA_INLINE void step(const Operand& a, Index t, const float* b) {
    simd::Vec lanes[Vectors];
    unrolled<Vectors>(
        [&](auto c) ARENA_INLINE_LAMBDA { lanes[c] = simd::load_once(b + c * simd::kWidth); });
    unrolled<Rows>([&](auto r) ARENA_INLINE_LAMBDA {
      const simd::Vec factor(a.at(r, t));
      unrolled<Vectors>([&](auto c)
                            ARENA_INLINE_LAMBDA { simd::add_product(at[r][c], factor, lanes[c]); });
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

/// body.operator()<Vectors>(c) for so many vectors of columns, a register tile of them from column
/// c on at a time.
template <class Body>
ARENA_INLINE void for_columns(Index vectors, const Body& body) {
  Index c = 0;
  for (; c + kTileVectors <= vectors; c += kTileVectors) {
    body.template operator()<kTileVectors>(c * simd::kWidth);
  }
  for (; c + 2 <= vectors; c += 2) body.template operator()<2>(c * simd::kWidth);
  for (; c < vectors; ++c) body.template operator()<1>(c * simd::kWidth);
}

/// body.operator()<kRows>(i) for the rows from i on, half as many at a time where they run out.
template <int kRows, class Body>
ARENA_INLINE void for_halves(Index i, Index count, Body&& body) {
  for (; i + kRows <= count; i += kRows) body.template operator()<kRows>(i);
  if constexpr (kRows > 1) for_halves<kRows / 2>(i, count, body);
}

/// The same for the rows that do not fill a tile of kTile rows. Returns body. Not inlined, and of a
/// copy: the loop over whole tiles then keeps its own in registers.
template <int kTile, class Body>
[[gnu::noinline]] Body for_last_rows(Index i, Index count, Body body) {
  for_halves<(kTile > kTileRows ? kTileRows : 2)>(i, count, body);
  return body;
}
/// body.operator()<kRows>(i) for `count` rows, a register tile of so many vectors at a time.
/// Returns body.
template <int Vectors, class Body>
ARENA_INLINE Body for_row_tiles(Index count, Body body) {
  constexpr int kRows = simd::kManyRegisters && Vectors == 3 ? 6 : kRowsFor<Vectors>;
  Index i = 0;
  for (; i + kRows <= count; i += kRows) body.template operator()<kRows>(i);
  return i == count ? body : for_last_rows<kRows>(i, count, body);
}

/// A read-only block of rows that may be read in whole vectors.
struct Rows {
  const float* data;
  Index stride;

  /// Row 0 of it is row i of this.
  Rows from_row(Index i) const { return {data + i * stride, stride}; }
};

/// to[0 .. cols) = factor * from, zeros up to `width`.
inline void copy_row(const float* from, Index cols, float factor, float* to, Index width) {
  simd::for_vectors(cols, [&](Index d, Index count) {
    simd::store_part(to + d, simd::Vec(factor) * simd::load_part(from + d, count), count);
  });
  for (Index d = cols; d < width; ++d) to[d] = 0;
}

/// `count` rows of `from` starting at `first`, readable in whole vectors: as they lie where their
/// width is a multiple of kWidth and they stand close together, else copied into `space`, filled up
/// with zeros in width.
inline Rows contiguous_rows(const ConstView& from, Index first, Index count, float* space) {
  const Index cols = from.cols(), width = round_up(cols, simd::kWidth), stride = from.outerStride();
  if (width == cols && stride == cols) return {from.data() + first * cols, cols};
  for (Index i = 0; i < count; ++i) {
    copy_row(from.data() + (first + i) * stride, cols, 1, space + i * width, width);
  }
  return {space, width};
}

/// write(c, &to[c][r], x, n) with x = from[r .. r + n][c] and zeros in the other lanes, for whole
/// vectors of the rows r < rows (the last may be shorter) and c < cols; strides in floats from row
/// to row. Along the rows of the matrix whose rows lie further apart.
template <class Write>
void for_transposed(const float* from, Index from_stride, Index rows, Index cols, float* to,
                    Index to_stride, Write write) {
  constexpr Index kWidth = simd::kWidth;
  const auto tile = [&](Index r, Index c) ARENA_INLINE_LAMBDA {
    const Index height = std::min(kWidth, rows - r), width = std::min(kWidth, cols - c);
    const float* corner = from + r * from_stride + c;
    float* place = to + c * to_stride + r;
    // else gcc 12 carries a pointer or multiple for each row from tile to tile, most in memory
    asm("" : "+r"(corner), "+r"(place), "+r"(from_stride), "+r"(to_stride));
    const auto write_row = [&](Index j, simd::Vec x, Index count) ARENA_INLINE_LAMBDA {
      write(c + j, place + j * to_stride, x, count);
    };
    if (height == kWidth && width == kWidth) {
      simd::transpose([&](Index i)
                          ARENA_INLINE_LAMBDA { return simd::load_once(corner + i * from_stride); },
                      [&](Index j, simd::Vec x) ARENA_INLINE_LAMBDA { write_row(j, x, kWidth); });
      return;
    }
    simd::transpose(
        [&](Index i) ARENA_INLINE_LAMBDA {
          return i < height ? simd::load_part(corner + i * from_stride, width) : simd::Vec(0.0F);
        },
        [&](Index j, simd::Vec x) ARENA_INLINE_LAMBDA {
          if (j < width) write_row(j, x, height);
        });
  };
  const bool along_from = from_stride > to_stride;
  const Index outer = along_from ? rows : cols, inner = along_from ? cols : rows;
  for (Index i = 0; i < outer; i += kWidth) {
    for (Index j = 0; j < inner; j += kWidth) tile(along_from ? i : j, along_from ? j : i);
  }
}
/// to[c][r] = factor_of(c) * from[r][c].
template <class FactorOf>
void copy_transposed_by(FactorOf factor_of, const float* from, Index from_stride, Index rows,
                        Index cols, float* to, Index to_stride) {
  for_transposed(from, from_stride, rows, cols, to, to_stride,
                 [=](Index c, float* place, simd::Vec x, Index count) ARENA_INLINE_LAMBDA {
                   simd::store_part(place, simd::Vec(factor_of(c)) * x, count);
                 });
}
/// to[c][r] = factor_of(c) * from[r][c]; kAdd: + held_of(c) * to[c][r].
template <class FactorOf, class HeldOf>
void write_transposed(FactorOf factor_of, const float* from, Index from_stride, Index rows,
                      Index cols, HeldOf held_of, Output output, float* to, Index to_stride) {
  if (output == Output::kOverwrite) {
    return copy_transposed_by(factor_of, from, from_stride, rows, cols, to, to_stride);
  }
  for_transposed(from, from_stride, rows, cols, to, to_stride,
                 [=](Index c, float* place, simd::Vec x, Index count) ARENA_INLINE_LAMBDA {
                   const simd::Vec held = simd::load_part(place, count);
                   x = simd::Vec(factor_of(c)) * x + simd::Vec(held_of(c)) * held;
                   simd::store_part(place, x, count);
                 });
}
inline void copy_transposed(const float* from, Index from_stride, Index rows, Index cols,
                            float factor, float* to, Index to_stride) {
  copy_transposed_by([=](Index) { return factor; }, from, from_stride, rows, cols, to, to_stride);
}

/// out[d * kTileLanes + i] = scale * from(first + i, d) for i < count, zero up to a whole vector.
inline void pack_transposed(const ConstView& from, Index first, Index count, float scale,
                            float* out) {
  for_transposed(from.data() + first * from.outerStride(), from.outerStride(), count, from.cols(),
                 out, kTileLanes, [=](Index, float* place, simd::Vec x, Index) ARENA_INLINE_LAMBDA {
                   simd::store(place, simd::Vec(scale) * x);
                 });
}

}  // namespace arena
