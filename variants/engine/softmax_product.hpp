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
};

/// to += a b or = that, with rows of `a` read in whole tiles, b of `depth` rows and kVectors of
/// columns; weft as that of multiply_add.
template <int kVectors, class Operand, class Weft>
ARENA_INLINE void add_columns(const Operand& a, const Rows& b, Index depth, const Sums& to,
                              Weft& weft) {
  constexpr int kRows = kRowsFor<kVectors>;
  for (Index r = 0; r < to.count; r += kRows) {
    const Operand rows = a.from_row(r);  // as an argument below it has gcc 12 spill the tile
    Accumulators<kVectors, kRows> tile;
    tile.clear();
    tile.multiply_add(rows, b.data, b.stride, depth, weft);
    float* const place = to.data + r * to.stride;
    if (to.output == Output::kAdd) {
      tile.add_to(place, to.stride, to.count - r);
    } else {
      tile.store_to(place, to.stride, to.count - r);
    }
  }
}

/// The same for so many vectors of columns.
template <class Operand, class Weft>
ARENA_INLINE void add_product(const Operand& a, const Rows& b, Index depth, Index vectors,
                              const Sums& to, Weft& weft) {
  const auto columns = [&]<int kVectors>(Index c) ARENA_INLINE_LAMBDA {
    const Index column = c * simd::kWidth;
    add_columns<kVectors>(a, {b.data + column, b.stride}, depth,
                          {to.data + column, to.stride, to.count, to.output}, weft);
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
