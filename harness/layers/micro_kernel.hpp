#pragma once
// The register tile under every engine: at[r][lanes] += sum over t of a(r, t) * b[t][lanes], with a
// broadcast from memory and b read as vectors. Everything else is which a, which b, and what is
// done with the tile before and after.

#include <algorithm>

#include "harness/layers/simd.hpp"

#define ARENA_INLINE [[gnu::always_inline]] inline

namespace arena {

constexpr Index round_up(Index count, Index multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// 16 accumulators of 32 registers, or 12 of 16: enough to hide a multiply-add's latency, and fewer
// loads than multiply-adds.
constexpr int kTileRows = simd::kManyRegisters ? 8 : 6;
constexpr int kTileVectors = 2;
constexpr Index kTileLanes = kTileVectors * simd::kWidth;

constexpr Index kCacheLine = 16;  // floats

/// a(r, t) = row r at t, where rows beyond the last repeat it (their results mean nothing).
struct RowOperand {
  const float* row[kTileRows];

  ARENA_INLINE RowOperand(const float* data, Index stride, Index count) {
    for (Index r = 0; r < kTileRows; ++r) row[r] = data + std::min(r, count - 1) * stride;
  }
  ARENA_INLINE float at(int r, Index t) const { return row[r][t]; }
};

/// a(r, t) = data[t * stride + r]: the transpose of rows; all kTileRows of them are read.
struct ColumnOperand {
  const float* data;
  Index stride;

  ARENA_INLINE float at(int r, Index t) const { return data[t * stride + r]; }
};

template <int Vectors = kTileVectors>
struct Accumulators {
  simd::Vec at[kTileRows][Vectors];

  ARENA_INLINE void clear() {
    for (auto& row : at) {
      for (auto& x : row) x = simd::Vec(0.0F);
    }
  }
  ARENA_INLINE void load(const float* from, Index stride) {
    for (int r = 0; r < kTileRows; ++r) {
      for (int c = 0; c < Vectors; ++c) {
        at[r][c] = simd::load(from + r * stride + c * simd::kWidth);
      }
    }
  }
  ARENA_INLINE void store(float* to, Index stride) const {
    for (int r = 0; r < kTileRows; ++r) {
      for (int c = 0; c < Vectors; ++c) simd::store(to + r * stride + c * simd::kWidth, at[r][c]);
    }
  }
  /// The first `count` rows; the others repeat the last of them.
  ARENA_INLINE void load_rows(const float* from, Index stride, Index count) {
    for (Index r = 0; r < kTileRows; ++r) {
      const float* const row = from + std::min(r, count - 1) * stride;
      for (int c = 0; c < Vectors; ++c) at[r][c] = simd::load(row + c * simd::kWidth);
    }
  }
  ARENA_INLINE void store_rows(float* to, Index stride, Index count) const {
    for (int r = 0; r < kTileRows; ++r) {
      if (r >= count) return;
      for (int c = 0; c < Vectors; ++c) simd::store(to + r * stride + c * simd::kWidth, at[r][c]);
    }
  }
  /// at[r] = row, for all rows.
  ARENA_INLINE void repeat_row(const float* row) {
    for (int c = 0; c < Vectors; ++c) {
      const simd::Vec lanes = simd::load(row + c * simd::kWidth);
      for (auto& vectors : at) vectors[c] = lanes;
    }
  }
  /// at[r] += row, for all rows.
  ARENA_INLINE void add_row(const float* row) {
    for (int c = 0; c < Vectors; ++c) {
      const simd::Vec lanes = simd::load(row + c * simd::kWidth);
      for (auto& vectors : at) vectors[c] = vectors[c] + lanes;
    }
  }
  /// to[r][:] += at[r] for the first `count` rows.
  ARENA_INLINE void add_to(float* to, Index stride, Index count) const {
    for (int r = 0; r < kTileRows; ++r) {
      if (r >= count) return;
      for (int c = 0; c < Vectors; ++c) {
        float* const place = to + r * stride + c * simd::kWidth;
        simd::store(place, simd::load(place) + at[r][c]);
      }
    }
  }

  /// at[r][:] += sum over t < depth of a(r, t) * b[t * b_stride + lanes].
  template <class Operand>
  ARENA_INLINE void multiply_add(const Operand& a, const float* b, Index b_stride, Index depth) {
    constexpr Index kUnroll = 8;
    Index t = 0;
    for (; t + kUnroll <= depth; t += kUnroll) {
#pragma GCC unroll 8
      for (Index u = 0; u < kUnroll; ++u) step(a, t + u, b + (t + u) * b_stride);
    }
    for (; t < depth; ++t) step(a, t, b + t * b_stride);
  }

 private:
  template <class Operand>
  ARENA_INLINE void step(const Operand& a, Index t, const float* b) {
    simd::Vec lanes[Vectors];
    for (int c = 0; c < Vectors; ++c) lanes[c] = simd::load_once(b + c * simd::kWidth);
    for (int r = 0; r < kTileRows; ++r) {
      const simd::Vec factor(a.at(r, t));
      for (int c = 0; c < Vectors; ++c) at[r][c] = factor * lanes[c] + at[r][c];
    }
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

/// `count` rows of `from` starting at `first` as they lie where their width is a multiple of
/// kTileRows and they stand close together, else copied into `space` with zeros up to that
/// multiple.
/// The rows after them, which are likely wanted next, are fetched into the second-level cache.
inline Rows contiguous_rows(const ConstView& from, Index first, Index count, float* space) {
  const Index cols = from.cols(), width = round_up(cols, kTileRows), stride = from.outerStride();
  if (width == cols && stride == cols) return {from.data() + first * cols, cols};
  const Index last = from.rows() - 1;
  for (Index i = 0; i < count; ++i) {
    const float* const row = from.data() + (first + i) * stride;
    const float* const next = from.data() + std::min(first + count + i, last) * stride;
    for (Index d = 0; d < cols; d += kCacheLine) __builtin_prefetch(next + d, 0, 2);
    std::copy_n(row, cols, space + i * width);
    std::fill(space + i * width + cols, space + (i + 1) * width, 0.0F);
  }
  return {space, width};
}

/// to[c][r] = factor * from[r][c] for r < rows, c < cols; strides in floats from row to row.
inline void copy_transposed(const float* from, Index from_stride, Index rows, Index cols,
                            float factor, float* to, Index to_stride) {
  constexpr Index kWidth = simd::kWidth;
  for (Index r = 0; r < rows; r += kWidth) {
    for (Index c = 0; c < cols; c += kWidth) {
      const float* const corner = from + r * from_stride + c;
      float* const place = to + c * to_stride + r;
      if (r + kWidth > rows || c + kWidth > cols) {
        for (Index j = 0; j < std::min(kWidth, cols - c); ++j) {
          for (Index i = 0; i < std::min(kWidth, rows - r); ++i) {
            place[j * to_stride + i] = factor * corner[i * from_stride + j];
          }
        }
        continue;
      }
      simd::Vec block[kWidth];
      for (Index i = 0; i < kWidth; ++i) block[i] = simd::load(corner + i * from_stride);
      simd::transpose(block);
      for (Index j = 0; j < kWidth; ++j) {
        simd::store(place + j * to_stride, simd::Vec(factor) * block[j]);
      }
    }
  }
}

/// out[d * kTileLanes + i] = scale * from(first + i, d), zero for i in [count, kTileLanes).
inline void pack_transposed(const ConstView& from, Index first, Index count, float scale,
                            float* out) {
  if (count < kTileLanes) std::fill_n(out, from.cols() * kTileLanes, 0.0F);
  copy_transposed(from.data() + first * from.outerStride(), from.outerStride(), count, from.cols(),
                  scale, out, kTileLanes);
}

}  // namespace arena
