#include "variants/engine/feature_chunk.hpp"

namespace arena::feature_detail {
namespace {

using simd::kWidth;
using simd::Vec;

/// Copies rows, zeros beyond their width; `factors` of the rows may be absent.
void copy_rows(const ConstView& from, const float* factors, float* to, Index stride) {
  const Index cols = from.cols();
  for (Index i = 0; i < from.rows(); ++i) {
    const float* const row = from.data() + i * from.outerStride();
    const float factor = factors ? factors[i] : 1;
    Index d = 0;
    for (; d + kWidth <= cols; d += kWidth) {
      simd::store(to + i * stride + d, Vec(factor) * simd::load(row + d));
    }
    for (; d < cols; ++d) to[i * stride + d] = factor * row[d];
    std::fill(to + i * stride + cols, to + (i + 1) * stride, 0.0F);
  }
}

/// In lane i the sum of the lanes of rows[i].
Vec lane_sums(Vec (&rows)[kWidth]) {
  simd::transpose(rows);
  for (Index half = kWidth / 2; half > 0; half /= 2) {
    for (Index i = 0; i < half; ++i) rows[i] = rows[i] + rows[i + half];
  }
  return rows[0];
}

/// In lane i the dot product of rows a(i) and b(i), by whole vectors below `end`.
template <class A, class B>
Vec block_dots(const A& a, const B& b, Index end) {
  Vec partial[kWidth];
  for (Vec& x : partial) x = Vec(0.0F);
  for (Index d = 0; d < end; d += kWidth) {
    for (Index i = 0; i < kWidth; ++i) {
      partial[i] = simd::load(a(i) + d) * simd::load(b(i) + d) + partial[i];
    }
  }
  return lane_sums(partial);
}

/// Stores the part of a tile at (r, c) that lies within `to`.
template <int Vectors>
ARENA_INLINE void store_within(const Tile<Vectors>& tile, const View& to, Index r, Index c) {
  constexpr int kRows = kRowsFor<Vectors>;
  const Index rows = to.rows() - r, cols = to.cols() - c, stride = to.outerStride();
  float* const place = const_cast<float*>(to.data()) + r * stride + c;
  if (rows >= kRows && cols >= Vectors * kWidth) {
    tile.store(place, stride);
    return;
  }
  alignas(64) float edge[kRows * Vectors * kWidth];
  tile.store(edge, Vectors * kWidth);
  for (Index i = 0; i < std::min<Index>(kRows, rows); ++i) {
    std::copy_n(edge + i * Vectors * kWidth, cols, place + i * stride);
  }
}

/// The last rows of a triangle's register tile that starts at r see no further than themselves.
template <int Vectors>
Index triangle_depth(Index r, Index count) {
  return std::min(r + kRowsFor<Vectors>, count);
}

}  // namespace

Chunk::Chunk(Workspace& workspace, const Widths& widths) : widths_(widths) {
  const auto take = [&](Index floats) { return workspace.take<float>(floats).data(); };
  const Index features = widths.feature_stride(), values = widths.value_stride();
  phi_query_ = take(kChunkRows * features);
  phi_key_ = take(kChunkRows * features);
  d_phi_ = take(kChunkRows * features);
  value_ = take(kChunkRows * values);
  n_ = take(kChunkRows * values);
  delta_ = take(kChunk);
  inverse_ = take(kChunk);
  right_t_ = take(std::max(features, values) * kChunk);
  weights_ = take(kChunkRows * kTriangleStride);
  d_weights_ = take(kChunkRows * kTriangleStride);
  sums_t_ = take(values * features);
  running_z_ = take(features);
  if (features == widths.features) return;
  for (float* const phi : {phi_query_, phi_key_}) std::fill_n(phi, kChunkRows * features, 0.0F);
}

Index Chunk::bytes(const Widths& widths) {
  const Index features = widths.feature_stride(), values = widths.value_stride();
  return 3 * stored_bytes<float>(kChunkRows * features) +
         2 * stored_bytes<float>(kChunkRows * values) + 2 * stored_bytes<float>(kChunk) +
         stored_bytes<float>(std::max(features, values) * kChunk) +
         2 * stored_bytes<float>(kChunkRows * kTriangleStride) +
         stored_bytes<float>(values * features) + stored_bytes<float>(features);
}

void Chunk::load_queries(const FeatureMap& map, const ConstView& query) {
  count_ = query.rows();
  map.evaluate(query, {phi_query_, count_, widths_.features, widths_.feature_stride()});
}

void Chunk::load_keys(const FeatureMap& map, const ConstView& key, const ConstView& value) {
  count_ = key.rows();
  map.evaluate(key, {phi_key_, count_, widths_.features, widths_.feature_stride()});
  copy_rows(value, nullptr, value_, widths_.value_stride());
}

void Chunk::load_d_out(const ConstView& d_out, const ConstView& out, const float* inverse) {
  copy_rows(d_out, inverse, n_, widths_.value_stride());
  const Index last = d_out.rows() - 1, whole = widths_.values / kWidth * kWidth;
  const auto n_row = [&](Index i) { return n_ + std::min(i, last) * widths_.value_stride(); };
  const auto out_row = [&](Index i) { return out.data() + std::min(i, last) * out.outerStride(); };
  for (Index first = 0; first <= last; first += kWidth) {
    const Vec dots = block_dots([&](Index i) { return n_row(first + i); },
                                [&](Index i) { return out_row(first + i); }, whole);
    simd::store(delta_ + first, Vec(0.0F) - dots);
  }
  for (Index i = 0; i <= last; ++i) {
    for (Index d = whole; d < widths_.values; ++d) delta_[i] -= n_row(i)[d] * out_row(i)[d];
  }
}

template <bool kCausal>
void Chunk::sum_denominators(const float* z, float epsilon) {
  const Index stride = widths_.feature_stride();
  std::copy_n(z, stride, running_z_);
  for (Index first = 0; first < count_; first += kWidth) {
    Vec partial[kWidth];
    for (Vec& x : partial) x = Vec(0.0F);
    for (Index f = 0; f < stride; f += kWidth) {
      Vec sum = simd::load(running_z_ + f);
      for (Index i = 0; i < kWidth; ++i) {
        const Index place = (first + i) * stride + f;
        if constexpr (kCausal) sum = sum + simd::load(phi_key_ + place);
        partial[i] = simd::load(phi_query_ + place) * sum + partial[i];
      }
      if constexpr (kCausal) simd::store(running_z_ + f, sum);
    }
    simd::store(inverse_ + first, Vec(1.0F) / (lane_sums(partial) + Vec(epsilon)));
  }
}

const float* Chunk::invert_denominators(const float* z, float epsilon, bool causal) {
  causal ? sum_denominators<true>(z, epsilon) : sum_denominators<false>(z, epsilon);
  return inverse_;
}

/// triangle[i][j] = <left_i, right_j> + add_i for j <= i, zero for the other j of i's register
/// tile, of whatever width; what is beyond it means nothing and is not read.
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
    const Index end = std::min(i / kMostRows * kMostRows + kMostRows, count_);
    std::fill(triangle + i * kTriangleStride + std::min(i + 1, end),
              triangle + i * kTriangleStride + end, 0.0F);
  }
}

void Chunk::fill_weights() {
  fill_triangle(phi_query_, phi_key_, widths_.feature_stride(), widths_.features, nullptr,
                weights_);
}

void Chunk::fill_d_weights() {
  fill_triangle(n_, value_, widths_.value_stride(), widths_.values, delta_, d_weights_);
}

void Chunk::write_out(const Sums& sums, bool causal, View out) {
  if (causal) fill_weights();
  const Index features = widths_.feature_stride(), values = widths_.value_stride();
  for_tiles(count_, widths_.values, [&]<int Vectors>(Index r, Index c) {
    Tile<Vectors> tile;
    tile.clear();
    tile.multiply_add(RowTile{phi_query_ + r * features, features}, sums.matrix + c, values,
                      widths_.features);
    if (causal) {
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

void Chunk::add_keys(const Sums& to) const {
  add_outer(phi_key_, value_, to);
  add_features(phi_key_, nullptr, to);
}

void Chunk::add_queries(const Sums& to) const {
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

void Chunk::write_d_query(const FeatureMap& map, const ConstView& query, const float* z,
                          bool causal, View d_query) {
  if (causal) fill_d_weights();
  const Index features = widths_.feature_stride(), values = widths_.value_stride();
  for_tiles(count_, widths_.features, [&]<int Vectors>(Index r, Index c) {
    Tile<Vectors> tile;
    tile.for_each([&](auto i, auto v) ARENA_INLINE_LAMBDA {
      tile.at[i][v] = Vec(delta_[std::min(r + i, count_ - 1)]) * simd::load(z + c + v * kWidth);
    });
    tile.multiply_add(RowTile{n_ + r * values, values}, sums_t_ + c, features, widths_.values);
    if (causal) {
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
    if (causal) {
      tile.multiply_add(later(weights_, r), n_ + r * values + c, values, count_ - r);
    }
    store_within(tile, d_value, r, c);
  });
}

}  // namespace arena::feature_detail
