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
                           Weft& weft) {
  const Operand rows = a.from_row(row);  // as an argument below it has gcc 12 spill the tile
  Accumulators<kVectors, kRows> tile;
  tile.clear();
  tile.multiply_add(rows, b.data, b.stride, depth, weft);
  float* const place = to.data + row * to.stride;
  if (to.output == Output::kAdd) return tile.add_to(place, to.stride, kRows);
  if (to.factors) tile.scale_rows(to.factors + row);
  tile.store(place, to.stride);
}
/// All of them, of kVectors of columns; weft as that of multiply_add, but not of the last rows.
template <int kVectors, class Operand, class Weft>
ARENA_INLINE void add_columns(const Operand& a, const Rows& b, Index depth, const Sums& to,
                              Weft& weft) {
  constexpr int kRows = kRowsFor<kVectors>;
  const Index whole = to.count / kRows * kRows;
  for (Index r = 0; r < whole; r += kRows) add_tile<kVectors, kRows>(a, b, depth, to, r, weft);
  if (whole == to.count) return;
  for_last_rows<kRows>(whole, to.count, [=]<int kFewer>(Index r) ARENA_INLINE_LAMBDA {
    add_tile<kVectors, kFewer>(a, b, depth, to, r, no_weft);
  });
}

/// The same for so many vectors of columns.
template <class Operand, class Weft>
ARENA_INLINE void add_product(const Operand& a, const Rows& b, Index depth, Index vectors,
                              const Sums& to, Weft& weft) {
  const auto columns = [&]<int kVectors>(Index c) ARENA_INLINE_LAMBDA {
    const Index column = c * simd::kWidth;
    add_columns<kVectors>(a, {b.data + column, b.stride}, depth,
                          {to.data + column, to.stride, to.count, to.output, to.factors}, weft);
  };
  Index c = 0;
  for (; c + kTileVectors <= vectors; c += kTileVectors) {
    columns.template operator()<kTileVectors>(c);
  }
  for (; c + 2 <= vectors; c += 2) columns.template operator()<2>(c);
  for (; c < vectors; ++c) columns.template operator()<1>(c);
}

/// Its register tiles.
inline Index product_tiles(Index count, Index vectors) {
  const auto tiles = [&](Index rows) { return (count + rows - 1) / rows; };
  const Index rest = vectors % kTileVectors;
  return vectors / kTileVectors * tiles(kTileRows) + rest / 2 * tiles(kRowsFor<2>) +
         rest % 2 * tiles(kRowsFor<1>);
}

}  // namespace arena
