#pragma once
// Products of tiled softmax attention that come out with head_dim in the lanes.

#include "harness/layers/micro_kernel.hpp"
#include "harness/layers/product.hpp"

namespace arena {

inline constexpr auto no_weft = [](auto) {};

/// Where a product goes.
struct Sums {
  float* data;  // [count][stride]
  Index stride, count;
  Output output;
  const float* factors = nullptr;  // of rows, with kOverwrite
};

/// A register tile of to += a b, or = that times its factors; b of `depth` rows.
template <int kVectors, int kRows, class Operand, class Weft>
ARENA_INLINE void add_tile(const Operand& a, const Rows& b, Index depth, const Sums& to, Index row,
                           Index column, Weft& weft) {
  const Operand rows = a.from_row(row);  // as an argument below it has gcc 12 spill the tile
  Accumulators<kVectors, kRows> tile;
  tile.clear();
  tile.multiply_add(rows, b.data + column, b.stride, depth, weft);
  float* const place = to.data + row * to.stride + column;
  if (to.output == Output::kAdd) return tile.add_to(place, to.stride, kRows);
  if (to.factors) tile.scale_rows(to.factors + row);
  tile.store(place, to.stride);
}
/// The rows of a product that do not fill its register tiles. Not inlined: see for_last_rows.
template <class Operand>
[[gnu::noinline]] void add_last_rows(const Operand& a, const Rows& b, Index depth, Index vectors,
                                     const Sums& to) {
  for_columns(vectors, [&]<int kVectors>(Index column) {
    constexpr int kRows = kRowsFor<kVectors>;
    const auto tile = [&]<int kFewer>(Index r) ARENA_INLINE_LAMBDA {
      add_tile<kVectors, kFewer>(a, b, depth, to, r, column, no_weft);
    };
    for_last_rows<kRows>(to.count / kRows * kRows, to.count, tile);
  });
}

/// to += a b, or = that times its factors, with b of `depth` rows and so many vectors of columns;
/// weft as that of multiply_add, but not of rows that do not fill a tile.
template <class Operand, class Weft>
ARENA_INLINE void add_product(const Operand& a, const Rows& b, Index depth, Index vectors,
                              const Sums& to, Weft& weft) {
  for_columns(vectors, [&]<int kVectors>(Index column) ARENA_INLINE_LAMBDA {
    constexpr int kRows = kRowsFor<kVectors>;
    for (Index r = 0; r + kRows <= to.count; r += kRows) {
      add_tile<kVectors, kRows>(a, b, depth, to, r, column, weft);
    }
  });
  if (to.count % kMostRows > 0) add_last_rows(a, b, depth, vectors, to);
}

/// Its register tiles.
inline Index product_tiles(Index count, Index vectors) {
  Index tiles = 0;
  for_columns(vectors, [&]<int kVectors>(Index) {
    tiles += (count + kRowsFor<kVectors> - 1) / kRowsFor<kVectors>;
  });
  return tiles;
}

}  // namespace arena
