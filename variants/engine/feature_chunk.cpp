#include "variants/engine/feature_chunk.hpp"

namespace arena::feature_detail {
namespace {

using simd::kWidth;
using simd::Vec;

/// Stores the part of a tile at (r, c) that lies within `to`.
template <int Vectors>
ARENA_INLINE void store_within(const Tile<Vectors>& tile, const View& to, Index r, Index c) {
  constexpr int kRows = kRowsFor<Vectors>;
  constexpr int kLanes = Vectors * kWidth;
  const Index rows = std::min<Index>(kRows, to.rows() - r);
  const Index cols = std::min<Index>(kLanes, to.cols() - c), stride = to.outerStride();
  float* const place = const_cast<float*>(to.data()) + r * stride + c;
  if (rows == kRows && cols == kLanes) {
    tile.store(place, stride);
    return;
  }
  alignas(64) float edge[kRows * kLanes];
  tile.store(edge, kLanes);
  for (Index i = 0; i < rows; ++i) std::copy_n(edge + i * kLanes, cols, place + i * stride);
}

/// The last rows of a triangle's register tile that starts at r see no further than themselves.
template <int Vectors>
Index triangle_depth(Index r, Index count) {
  return std::min(r + kRowsFor<Vectors>, count);
}

}  // namespace

/// triangle[i][j] = <left_i, right_j> + add_i, where scaled times 2^(exponent of key j - C_i), for
/// j <= i; zero for the other j of i's register tile, of whatever width, and of its vector. What is
/// beyond these means nothing.
void Chunk::fill_triangle(const float* left, const float* right, Index stride, Index depth,
                          const float* add, float* triangle) {
  copy_transposed(right, stride, kChunk, depth, 1, right_t_, kChunk);
  for (Index c = 0; c < count_; c += kTileLanes) {
    for (Index r = c / kTileRows * kTileRows; r < count_; r += kTileRows) {
      Accumulators<> tile;
      for (int i = 0; i < kTileRows; ++i) {
        for (Vec& x : tile.at[i]) x = Vec(add ? add[std::min(r + i, count_ - 1)] : 0.0F);
      }
      tile.multiply_add(RowTile{left + r * stride, stride}, right_t_ + c, kChunk, depth);
      tile.store(triangle + r * kTriangleStride + c, kTriangleStride);
    }
  }
  for (Index i = 0; i < count_; ++i) {
    float* const row = triangle + i * kTriangleStride;
    const Index vectors_end = round_up(i + 1, kWidth);
    for (Index c = 0; widths_.scaled && c < vectors_end; c += kWidth) {
      const Vec exponent = simd::load(key_exponent_ + c) - Vec(query_exponent_[i]);
      simd::store(row + c, simd::load(row + c) * simd::exp2(exponent));
    }
    const Index end =
        std::max(vectors_end, std::min(i / kMostRows * kMostRows + kMostRows, count_));
    std::fill(row + i + 1, row + end, 0.0F);
  }
}

void Chunk::fill_weights() {
  fill_triangle(phi_query_, phi_key_, widths_.feature_stride(), widths_.features, nullptr,
                weights_);
}

void Chunk::fill_d_weights() {
  fill_triangle(n_, value_, widths_.value_stride(), widths_.values, delta_, d_weights_);
}

template <int Vectors>
ARENA_INLINE void Chunk::scale(Tile<Vectors>& tile, Index r) const {
  if (!widths_.scaled) return;
  tile.for_each([&](auto i, auto v) ARENA_INLINE_LAMBDA {
    tile.at[i][v] = tile.at[i][v] * Vec(factor_[std::min(r + i, count_ - 1)]);
  });
}

void Chunk::write_out(const Sums& sums, bool causal, View out) {
  const Index features = widths_.feature_stride(), values = widths_.value_stride();
  for_tiles(count_, widths_.values, [&]<int Vectors>(Index r, Index c) {
    Tile<Vectors> tile;
    tile.clear();
    tile.multiply_add(RowTile{phi_query_ + r * features, features}, sums.matrix + c, values,
                      widths_.features);
    if (causal) {
      scale(tile, r);
      tile.multiply_add(RowTile{weights_ + r * kTriangleStride, kTriangleStride}, value_ + c,
                        values, triangle_depth<Vectors>(r, count_));
    }
    tile.for_each([&](auto i, auto v) ARENA_INLINE_LAMBDA {
      tile.at[i][v] = tile.at[i][v] * Vec(inverse_[std::min(r + i, count_ - 1)]);
    });
    store_within(tile, out, r, c);
  });
}

/// to += sum over the chunk's i of phi_i rows_i^T.
void Chunk::add_outer(const float* phi, const float* rows, const Sums& to) const {
  const Index features = widths_.feature_stride(), values = widths_.value_stride();
  for_tiles(widths_.features, widths_.values, [&]<int Vectors>(Index r, Index c) {
    Tile<Vectors> tile;
    tile.clear();
    tile.multiply_add(ColumnOperand{phi + r, features}, rows + c, values, count_);
    tile.add_to(to.matrix + r * values + c, values, kRowsFor<Vectors>);
  });
}

void Chunk::add_keys(const Sums& to) {
  if (widths_.scaled) {
    join(key_exponent_, 1, to);
    scale_rows(value_);
  }
  add_outer(phi_key_, value_, to);
  add_features(phi_key_, widths_.scaled ? factor_ : nullptr, to);
}

void Chunk::add_queries(const Sums& to) {
  if (widths_.scaled) {
    join(query_exponent_, -1, to);
    scale_rows(n_);
    for (Index i = 0; i < count_; ++i) delta_[i] *= factor_[i];
  }
  add_outer(phi_query_, n_, to);
  add_features(phi_query_, delta_, to);
}

/// to += sum over the chunk's i of factor_i phi_i.
void Chunk::add_features(const float* phi, const float* factors, const Sums& to) const {
  const Index stride = widths_.feature_stride();
  for (Index f = 0; f < stride; f += kWidth) {
    Vec sum(0.0F);
    for (Index i = 0; i < count_; ++i) {
      sum = Vec(factors ? factors[i] : 1) * simd::load(phi + i * stride + f) + sum;
    }
    simd::store(to.vector + f, simd::load(to.vector + f) + sum);
  }
}

void Chunk::transpose(const Sums& sums) {
  copy_transposed(sums.matrix, widths_.value_stride(), widths_.feature_stride(),
                  widths_.value_stride(), 1, sums_t_, widths_.feature_stride());
}

void Chunk::write_d_query(const FeatureMap& map, const ConstView& query, const Sums& sums,
                          bool causal, View d_query) {
  if (widths_.scaled) fill_factors(query_exponent_, -1, *sums.exponent);
  if (causal) fill_d_weights();
  const float* const z = sums.vector;
  const Index features = widths_.feature_stride(), values = widths_.value_stride();
  for_tiles(count_, widths_.features, [&]<int Vectors>(Index r, Index c) {
    Tile<Vectors> tile;
    tile.for_each([&](auto i, auto v) ARENA_INLINE_LAMBDA {
      tile.at[i][v] = Vec(delta_[std::min(r + i, count_ - 1)]) * simd::load(z + c + v * kWidth);
    });
    tile.multiply_add(RowTile{n_ + r * values, values}, sums_t_ + c, features, widths_.values);
    if (causal) {
      scale(tile, r);
      tile.multiply_add(RowTile{d_weights_ + r * kTriangleStride, kTriangleStride}, phi_key_ + c,
                        features, triangle_depth<Vectors>(r, count_));
    }
    tile.store(d_phi_ + r * features + c, features);
  });
  map.differentiate(query, {phi_query_, count_, widths_.features, features},
                    {d_phi_, count_, widths_.features, features}, d_query);
}

void Chunk::write_d_keys(const FeatureMap& map, const ConstView& key, const Sums& d_sums,
                         bool causal, View d_key, View d_value) {
  if (widths_.scaled) fill_factors(key_exponent_, 1, *d_sums.exponent);
  if (causal) fill_weights(), fill_d_weights();
  const Index features = widths_.feature_stride(), values = widths_.value_stride();
  // of the queries from the tile's first key on
  const auto later = [&](const float* triangle, Index r) {
    return ColumnOperand{triangle + r * kTriangleStride + r, kTriangleStride};
  };
  for_tiles(count_, widths_.features, [&]<int Vectors>(Index r, Index c) {
    Tile<Vectors> tile;
    tile.load(d_sums.vector + c, 0);
    tile.multiply_add(RowTile{value_ + r * values, values}, sums_t_ + c, features, widths_.values);
    scale(tile, r);
    if (causal) {
      tile.multiply_add(later(d_weights_, r), phi_query_ + r * features + c, features, count_ - r);
    }
    tile.store(d_phi_ + r * features + c, features);
  });
  map.differentiate(key, {phi_key_, count_, widths_.features, features},
                    {d_phi_, count_, widths_.features, features}, d_key);
  for_tiles(count_, widths_.values, [&]<int Vectors>(Index r, Index c) {
    Tile<Vectors> tile;
    tile.clear();
    tile.multiply_add(RowTile{phi_key_ + r * features, features}, d_sums.matrix + c, values,
                      widths_.features);
    scale(tile, r);
    if (causal) {
      tile.multiply_add(later(weights_, r), n_ + r * values + c, values, count_ - r);
    }
    store_within(tile, d_value, r, c);
  });
}

}  // namespace arena::feature_detail
