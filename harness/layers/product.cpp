#include "harness/layers/product.hpp"

#include <algorithm>
#include <cassert>

namespace arena {
namespace {

#if defined(__AVX512F__)
constexpr Index kLanes = 16;
constexpr Index kTileRows = 8;  // 8 x 2 accumulators of 32 registers
#elif defined(__AVX__)
constexpr Index kLanes = 8;
constexpr Index kTileRows = 6;  // 6 x 2 of 16 registers
#else
constexpr Index kLanes = 4;
constexpr Index kTileRows = 6;
#endif
constexpr Index kTileVectors = 2;
constexpr Index kTailDepth = 256;  // rows of b whose last, partial vector is padded at a time

// Vectors of the compiler (gcc and clang): arithmetic by operators, any alignment in memory.
using Vector [[gnu::vector_size(kLanes * sizeof(float))]] = float;
using Stored
    [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] =
        float;

Vector load(const float* from) {
  return *reinterpret_cast<const Stored*>(from);
}
void store(Vector value, float* to) {
  *reinterpret_cast<Stored*>(to) = value;
}

/// The operand whose elements are broadcast: element (i, k) at data[i * row + k * depth].
struct Broadcast {
  const float* data;
  Index row, depth;
};
struct Rows {
  const float* data;
  Index stride;
};
/// Where sums start: at the row `bias`, at what c holds, or (neither) at zero.
struct Start {
  const float* bias = nullptr;
  bool add = false;
};

/// c [kRows, kVectors * kLanes] = start + a [kRows, depth] b [depth, kVectors * kLanes].
template <Index kRows, Index kVectors>
void tile(Index depth, Broadcast a, Rows b, Start start, float* c, Index c_stride) {
  Vector sum[kRows][kVectors];
#pragma GCC unroll 16
  for (Index i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (Index v = 0; v < kVectors; ++v) {
      if (start.add) {
        sum[i][v] = load(c + i * c_stride + v * kLanes);
      } else {
        sum[i][v] = start.bias ? load(start.bias + v * kLanes) : Vector{};
      }
    }
  }
  for (Index k = 0; k < depth; ++k) {
    Vector row[kVectors];
#pragma GCC unroll 16
    for (Index v = 0; v < kVectors; ++v) row[v] = load(b.data + k * b.stride + v * kLanes);
#pragma GCC unroll 16
    for (Index i = 0; i < kRows; ++i) {
      const float factor = a.data[i * a.row + k * a.depth];
#pragma GCC unroll 16
      for (Index v = 0; v < kVectors; ++v) sum[i][v] += factor * row[v];
    }
  }
#pragma GCC unroll 16
  for (Index i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (Index v = 0; v < kVectors; ++v) store(sum[i][v], c + i * c_stride + v * kLanes);
  }
}

/// All rows of one panel of kVectors * kLanes columns; the last tile has fewer rows.
template <Index kVectors>
void panel(Index rows, Index depth, Broadcast a, Rows b, Start start, float* c, Index c_stride) {
  const auto run = [&]<Index kRows>(std::integral_constant<Index, kRows>, Index first) {
    tile<kRows, kVectors>(depth, {a.data + first * a.row, a.row, a.depth}, b, start,
                          c + first * c_stride, c_stride);
  };
  Index i = 0;
  for (; i + kTileRows <= rows; i += kTileRows) {
    run(std::integral_constant<Index, kTileRows>{}, i);
  }
  if (rows - i >= 4) run(std::integral_constant<Index, 4>{}, i), i += 4;
  if (rows - i >= 2) run(std::integral_constant<Index, 2>{}, i), i += 2;
  if (rows - i >= 1) run(std::integral_constant<Index, 1>{}, i);
}

/// The last `cols` < kLanes columns, through copies padded to a whole vector.
void narrow_panel(Index rows, Index cols, Index depth, Broadcast a, Rows b, Start start, float* c,
                  Index c_stride) {
  float padded_b[kTailDepth * kLanes];
  float padded_c[kTileRows * kLanes];
  for (Index k = 0; k < depth; k += kTailDepth) {
    const Index part = std::min(kTailDepth, depth - k);
    std::fill_n(padded_b, part * kLanes, 0.0F);
    for (Index r = 0; r < part; ++r) {
      std::copy_n(b.data + (k + r) * b.stride, cols, padded_b + r * kLanes);
    }
    for (Index i = 0; i < rows; i += kTileRows) {
      const Index count = std::min(kTileRows, rows - i);
      std::fill_n(padded_c, kTileRows * kLanes, 0.0F);
      for (Index r = 0; r < count; ++r) {
        const float* from = start.add || k > 0 ? c + (i + r) * c_stride : start.bias;
        if (from) std::copy_n(from, cols, padded_c + r * kLanes);
      }
      panel<1>(count, part, {a.data + i * a.row + k * a.depth, a.row, a.depth}, {padded_b, kLanes},
               {.add = true}, padded_c, kLanes);
      for (Index r = 0; r < count; ++r) {
        std::copy_n(padded_c + r * kLanes, cols, c + (i + r) * c_stride);
      }
    }
  }
}

void product(Index rows, Index cols, Index depth, Broadcast a, Rows b, Start start, View c) {
  const Index c_stride = c.outerStride();
  Index j = 0;
  const auto at = [&](Index column) {
    return Start{start.bias ? start.bias + column : nullptr, start.add};
  };
  for (; j + kTileVectors * kLanes <= cols; j += kTileVectors * kLanes) {
    panel<kTileVectors>(rows, depth, a, {b.data + j, b.stride}, at(j), c.data() + j, c_stride);
  }
  for (; j + kLanes <= cols; j += kLanes) {
    panel<1>(rows, depth, a, {b.data + j, b.stride}, at(j), c.data() + j, c_stride);
  }
  if (j < cols) {
    narrow_panel(rows, cols - j, depth, a, {b.data + j, b.stride}, at(j), c.data() + j, c_stride);
  }
}

}  // namespace

void multiply(ConstView a, ConstView b, View c, Output output) {
  assert(a.cols() == b.rows() && a.rows() == c.rows() && b.cols() == c.cols());
  product(a.rows(), b.cols(), a.cols(), {a.data(), a.outerStride(), 1}, {b.data(), b.outerStride()},
          {.add = output == Output::kAdd}, c);
}

void multiply_add_bias(ConstView a, ConstView b, ConstView bias, View c) {
  assert(a.cols() == b.rows() && a.rows() == c.rows() && b.cols() == c.cols());
  assert(bias.size() == b.cols());
  product(a.rows(), b.cols(), a.cols(), {a.data(), a.outerStride(), 1}, {b.data(), b.outerStride()},
          {.bias = bias.data()}, c);
}

void multiply_transposed(ConstView a, ConstView b, View c, Output output) {
  assert(a.rows() == b.rows() && a.cols() == c.rows() && b.cols() == c.cols());
  product(a.cols(), b.cols(), a.rows(), {a.data(), 1, a.outerStride()}, {b.data(), b.outerStride()},
          {.add = output == Output::kAdd}, c);
}

void transpose(ConstView in, View out) {
  assert(in.rows() == out.cols() && in.cols() == out.rows());
  constexpr Index kBlock = 16;  // both sides of a block stay in L1
  for (Index i = 0; i < in.rows(); i += kBlock) {
    const Index rows = std::min(kBlock, in.rows() - i);
    for (Index j = 0; j < in.cols(); j += kBlock) {
      const Index cols = std::min(kBlock, in.cols() - j);
      for (Index c = 0; c < cols; ++c) {
        const float* from = in.data() + i * in.outerStride() + j + c;
        float* const to = out.data() + (j + c) * out.outerStride() + i;
        for (Index r = 0; r < rows; ++r) to[r] = from[r * in.outerStride()];
      }
    }
  }
}

}  // namespace arena
