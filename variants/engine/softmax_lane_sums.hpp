#pragma once
// What tiled softmax attention adds up for the queries (forward) or keys (backward) that stand in
// the vector lanes of its scores: one row of head_dim numbers for each lane.
//
// Where head_dim fills pairs of vectors, products have it in their lanes: rows come out as they
// are kept, and lanes that do not fill a vector cost nothing. A single vector would need a load for
// each multiply-add; then, and for other remainders, sums are kept transposed, with the lanes of
// the scores in theirs (head_dim 16 with AVX-512: 84 % of L1, the other way 70).

#include "variants/engine/softmax_product.hpp"

namespace arena {

class LaneSums {
 public:
  static constexpr Index kLanes = kTileLanes;

  void take(Workspace& workspace, Index head_dim) {
    head_dim_ = head_dim;
    is_transposed_ = transposes(head_dim);
    data_ = workspace.take<float>(floats(head_dim)).data();
  }
  static Index bytes(Index head_dim) { return stored_bytes<float>(floats(head_dim)); }

  void clear() const { std::fill_n(data_, floats(head_dim_), 0.0F); }

  /// For each lane i of `lanes`, whole vectors but for the last, from vector `first` on:
  /// sums[i][:] += (or = ) sum over t < depth of p[t][i] rows[t][:].
  struct Product {
    const float* p;  // that of vector `first`
    Index p_stride;
    Rows rows;  // readable in whole vectors
    Index depth;
    int first, vectors;
    Index lanes;
    Output output;
    /// Where not empty, of a product of all lanes that is all there is to add: to[i][:] =
    /// factors[i] (null: 1) sums[i][:], as write() would have it, and sums are not kept.
    View to{};
    const float* factors = nullptr;
  };
  template <class Weft>
  ARENA_INLINE void add(const Product& product, Weft& weft) const {
    if (!is_transposed_) {
      float* const sums = data_ + product.first * simd::kWidth * head_dim_;
      const bool writes = !product.to.empty();
      return add_product(ColumnOperand{product.p, product.p_stride}, product.rows, product.depth,
                         head_dim_ / simd::kWidth,
                         {writes ? const_cast<float*>(product.to.data()) : sums,
                          writes ? product.to.outerStride() : head_dim_, product.lanes,
                          product.output, product.factors},
                         weft);
    }
    with_vectors(product.vectors * simd::kWidth, [&]<int kVectors>() ARENA_INLINE_LAMBDA {
      if (head_dim_ % kRowsFor<kVectors> == 0) {
        add_transposed<kVectors, kRowsFor<kVectors>>(product, weft);
      } else {
        add_transposed<kVectors, kTileRows>(product, weft);
      }
    });
    if (product.to.empty()) return;
    write([&](Index i) { return product.factors ? product.factors[i] : 1.0F; },
          [](Index) { return 0.0F; }, Output::kOverwrite, product.to);
  }
  /// The register tiles of a product for so many lanes.
  Index tiles(Index lanes) const {
    if (is_transposed_) return (head_dim_ + kTileRows - 1) / kTileRows;
    return product_tiles(lanes, head_dim_ / simd::kWidth);
  }

  /// sums[i][:] *= factors[i].
  void scale(const float* factors, Index lanes) const {
    if (is_transposed_) {
      for (Index d = 0; d < head_dim_; ++d) {
        float* const row = data_ + d * kLanes;
        for (Index i = 0; i < lanes; ++i) row[i] *= factors[i];
      }
      return;
    }
    for (Index i = 0; i < lanes; ++i) {
      float* const row = data_ + i * head_dim_;
      for (Index d = 0; d < head_dim_; ++d) row[d] *= factors[i];
    }
  }

  /// to[i][:] = factor_of(i) sums[i][:]; kAdd: + held_of(i) to[i][:].
  template <class FactorOf, class HeldOf>
  void write(const FactorOf& factor_of, const HeldOf& held_of, Output output, View to) const {
    if (is_transposed_) {
      return write_transposed(factor_of, data_, kLanes, head_dim_, to.rows(), held_of, output,
                              to.data(), to.outerStride());
    }
    for (Index i = 0; i < to.rows(); ++i) {
      const simd::Vec factor(factor_of(i)), held(held_of(i));
      const float* const row = data_ + i * head_dim_;
      float* const place = to.data() + i * to.outerStride();
      for (Index d = 0; d < head_dim_; d += simd::kWidth) {
        simd::Vec x = factor * simd::load(row + d);
        if (output == Output::kAdd) x = held * simd::load(place + d) + x;
        simd::store(place + d, x);
      }
    }
  }

 private:
  static bool transposes(Index head_dim) { return head_dim % (2 * simd::kWidth) != 0; }
  static Index floats(Index head_dim) { return round_up(head_dim, kTileRows) * kLanes; }

  template <int kVectors, int kRows, class Weft>
  ARENA_INLINE void add_transposed(const Product& product, Weft& weft) const {
    for (Index d = 0; d < head_dim_; d += kRows) {
      float* const place = data_ + d * kLanes + product.first * simd::kWidth;
      const ColumnOperand columns{product.rows.data + d, product.rows.stride};
      Accumulators<kVectors, kRows> tile;
      tile.clear();
      tile.multiply_add(columns, product.p, product.p_stride, product.depth, weft);
      if (product.output == Output::kAdd) {
        tile.add_to(place, kLanes, kRows);
      } else {
        tile.store(place, kLanes);
      }
    }
  }

  Index head_dim_ = 0;
  bool is_transposed_ = false;
  float* data_ = nullptr;  // [kLanes][head_dim], or its transpose, rows in whole register tiles
};

}  // namespace arena
