#pragma once
// The products of feature attention on one chunk of rows, in one worker's scratch. Only for
// the files named feature_.

#include "harness/layers/micro_kernel.hpp"
#include "variants/engine/feature_attention.hpp"

namespace arena::feature_detail {

// Rows, in whole register tiles: a chunk's features, values and sums stay in the first cache.
constexpr Index kChunk = 64 / kTileLanes * kTileLanes;
constexpr Index kChunkRows = round_up(kChunk, kMostRows);

/// Columns of a buffer whose rows are read in whole vectors and in whole register tiles.
constexpr Index padded(Index cols) {
  return round_up(round_up(cols, kMostRows), simd::kWidth);
}

constexpr Index kTriangleStride = padded(kChunk);

struct Widths {
  Index features, values;  // num_features, head_dim
  bool scaled;

  Index feature_stride() const { return padded(features); }
  Index value_stride() const { return padded(values); }
  Index exponent_offset() const { return feature_stride() * (value_stride() + 1); }
  Index sum_floats() const { return exponent_offset() + (scaled ? simd::kWidth : 0); }
};

/// S [feature_stride, value_stride], then z [feature_stride], zero beyond the widths, and where
/// scaled the exponent that both are over (minus infinity: nothing is summed yet).
struct Sums {
  float* matrix = nullptr;
  float* vector = nullptr;
  float* exponent = nullptr;

  Sums() = default;
  Sums(float* data, const Widths& widths)
      : matrix(data),
        vector(data + widths.feature_stride() * widths.value_stride()),
        exponent(widths.scaled ? data + widths.exponent_offset() : nullptr) {}
};

/// Writes empty sums.
void clear_sums(float* data, const Widths& widths);
/// to = a + b, each of sum_floats; any of them may be the same.
void add_sums(const Widths& widths, const float* a, const float* b, float* to);

/// What forward leaves of each query: 1 / den, and where scaled C, which den is over.
struct Denominators {
  float* inverse = nullptr;
  float* exponent = nullptr;

  Denominators from(Index row) const {
    return {inverse ? inverse + row : nullptr, exponent ? exponent + row : nullptr};
  }
};

template <int Vectors>
using Tile = Accumulators<Vectors, kRowsFor<Vectors>>;

/// body.operator()<Vectors>(r, c) for the register tiles of a [rows, cols] matrix.
template <class Body>
ARENA_INLINE void for_tiles(Index rows, Index cols, const Body& body) {
  for_columns((cols + simd::kWidth - 1) / simd::kWidth, [&]<int Vectors>(Index c) {
    for (Index r = 0; r < rows; r += kRowsFor<Vectors>) body.template operator()<Vectors>(r, c);
  });
}

/// Features of up to kChunk queries and keys, their values and output gradients, and the products
/// of these. `causal` functions take query and key i of the chunk to be aligned: i sees 0 .. i.
class Chunk {
 public:
  Chunk(Workspace& workspace, const Widths& widths);
  static Index bytes(const Widths& widths);

  void load_queries(const FeatureMap& map, const ConstView& query);
  void load_keys(const FeatureMap& map, const ConstView& key, const ConstView& value);
  /// n and delta, given what forward left of each query.
  void load_d_out(const ConstView& d_out, const ConstView& out, const Denominators& saved);

  /// Finds den and C of each query (causal: given S and z before the chunk) and writes them to
  /// `saved`, whose members may be null.
  void find_denominators(const Sums& sums, float epsilon, bool causal, const Denominators& saved);
  /// out = phi(q)^T S / den; causal: S is that before the chunk.
  void write_out(const Sums& sums, bool causal, View out);
  /// S += phi(k) v^T, z += phi(k). The values are not to be used after it.
  void add_keys(const Sums& to);
  /// d_S += phi(q) n^T, d_z += delta phi(q). n and delta are not to be used after it.
  void add_queries(const Sums& to);

  /// Keeps the transpose of S or d_S for the next two functions.
  void transpose(const Sums& sums);
  /// d_query; causal: S and z are those before the chunk.
  void write_d_query(const FeatureMap& map, const ConstView& query, const Sums& sums, bool causal,
                     View d_query);
  /// d_key and d_value; causal: d_S and d_z are those after the chunk.
  void write_d_keys(const FeatureMap& map, const ConstView& key, const Sums& d_sums, bool causal,
                    View d_key, View d_value);

 private:
  void fill_factors(const float* exponents, float sign, float offset);
  void find_exponents(float of_sums, bool causal);
  /// Brings sums over an exponent at least as large as any sign * exponents_i, and fills the
  /// factors of rows over these.
  void join(const float* exponents, float sign, const Sums& to);
  void scale_rows(float* rows);
  void add_outer(const float* phi, const float* rows, const Sums& to) const;
  void add_features(const float* phi, const float* factors, const Sums& to) const;
  void fill_triangle(const float* left, const float* right, Index stride, Index depth,
                     const float* add, float* triangle);
  void fill_weights();
  void fill_d_weights();
  /// Row i of a tile at r times factor_i, where there are factors.
  template <int Vectors>
  void scale(Tile<Vectors>& tile, Index r) const;

  Widths widths_;
  Index count_ = 0;
  float *phi_query_, *phi_key_, *d_phi_;   // [kChunkRows][feature_stride]
  float *value_, *n_;                      // [kChunkRows][value_stride]
  float *delta_, *inverse_;                // [kChunk]
  float *key_exponent_, *query_exponent_;  // [kChunk]: of k, and C
  float* factor_;                          // [kChunk]: of each row, from one exponent to another
  float* right_t_;                         // [widest of features and values][kChunk]
  float *weights_, *d_weights_;            // [kChunkRows][kTriangleStride]: see fill_triangle()
  float* sums_t_;                          // [value_stride][feature_stride]
};

}  // namespace arena::feature_detail
