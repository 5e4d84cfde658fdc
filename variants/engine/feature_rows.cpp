// What a chunk holds of each row: features, values, denominators, exponents; and sums as wholes.

#include <cmath>
#include <limits>

#include "harness/layers/rows.hpp"
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
  return simd::row_sums([&](Index i) { return partial[i]; });
}

/// In lane i the sum of the first `end` of row i; whole vectors.
Vec block_sums(const float* rows, Index stride, Index end) {
  Vec partial[kWidth];
  for (Index i = 0; i < kWidth; ++i) {
    partial[i] = simd::load(rows + i * stride);
    for (Index c = kWidth; c < end; c += kWidth) {
      partial[i] = partial[i] + simd::load(rows + i * stride + c);
    }
  }
  return simd::row_sums([&](Index i) { return partial[i]; });
}

/// 2^(exponent - other), where minus infinity less itself counts as 0.
float power(float exponent, float other) {
  return exponent == other ? 1 : std::exp2(exponent - other);
}

}  // namespace

void clear_sums(float* data, const Widths& widths) {
  std::fill_n(data, widths.sum_floats(), 0.0F);
  if (widths.scaled) data[widths.exponent_offset()] = -std::numeric_limits<float>::infinity();
}

void add_sums(const Widths& widths, const float* a, const float* b, float* to) {
  const Index end = widths.exponent_offset();
  if (!widths.scaled) {
    for (Index i = 0; i < end; ++i) to[i] = a[i] + b[i];
    return;
  }
  const float top = std::max(a[end], b[end]);
  const float of_a = power(a[end], top), of_b = power(b[end], top);
  for (Index i = 0; i < end; ++i) to[i] = of_a * a[i] + of_b * b[i];
  to[end] = top;
}

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
  key_exponent_ = take(kChunk);
  query_exponent_ = take(kChunk);
  factor_ = take(kChunk);
  right_t_ = take(std::max(features, values) * kChunk);
  weights_ = take(kChunkRows * kTriangleStride);
  d_weights_ = take(kChunkRows * kTriangleStride);
  sums_t_ = take(values * features);
  if (features == widths.features) return;
  for (float* const phi : {phi_query_, phi_key_}) std::fill_n(phi, kChunkRows * features, 0.0F);
}

Index Chunk::bytes(const Widths& widths) {
  const Index features = widths.feature_stride(), values = widths.value_stride();
  return 3 * stored_bytes<float>(kChunkRows * features) +
         2 * stored_bytes<float>(kChunkRows * values) + 5 * stored_bytes<float>(kChunk) +
         stored_bytes<float>(std::max(features, values) * kChunk) +
         2 * stored_bytes<float>(kChunkRows * kTriangleStride) +
         stored_bytes<float>(values * features);
}

void Chunk::load_queries(const FeatureMap& map, const ConstView& query) {
  count_ = query.rows();
  // Exponents of queries cancel.
  map.evaluate(query, {phi_query_, count_, widths_.features, widths_.feature_stride()}, factor_);
}

void Chunk::load_keys(const FeatureMap& map, const ConstView& key, const ConstView& value) {
  count_ = key.rows();
  map.evaluate(key, {phi_key_, count_, widths_.features, widths_.feature_stride()}, key_exponent_);
  copy_rows(value, nullptr, value_, widths_.value_stride());
}

void Chunk::load_d_out(const ConstView& d_out, const ConstView& out, const Denominators& saved) {
  copy_rows(d_out, saved.inverse, n_, widths_.value_stride());
  if (widths_.scaled) std::copy_n(saved.exponent, count_, query_exponent_);
  dots_of_rows({n_, d_out.rows(), widths_.values, widths_.value_stride()}, out, delta_);
  for (Index i = 0; i < kChunk; ++i) delta_[i] = i < d_out.rows() ? -delta_[i] : 0;
}

/// factor_i = 2^(sign exponents_i + offset).
void Chunk::fill_factors(const float* exponents, float sign, float offset) {
  for (Index i = 0; i < count_; i += kWidth) {
    const Vec exponent = Vec(sign) * simd::load(exponents + i) + Vec(offset);
    simd::store(factor_ + i, simd::exp2(exponent));
  }
}

/// C of each query: the largest exponent of the keys that it sees.
void Chunk::find_exponents(float of_sums, bool causal) {
  float largest = of_sums;
  for (Index i = 0; i < count_; ++i) {
    if (causal) largest = std::max(largest, key_exponent_[i]);
    query_exponent_[i] = largest;
  }
  fill_factors(query_exponent_, -1, of_sums);
}

void Chunk::find_denominators(const Sums& sums, float epsilon, bool causal,
                              const Denominators& saved) {
  if (widths_.scaled) find_exponents(*sums.exponent, causal);
  if (causal) fill_weights();
  const Index stride = widths_.feature_stride();
  for (Index first = 0; first < count_; first += kWidth) {
    Vec den = block_dots([&](Index i) { return phi_query_ + (first + i) * stride; },
                         [&](Index) { return sums.vector; }, stride);
    if (causal) {
      if (widths_.scaled) den = den * simd::load(factor_ + first);
      den = den + block_sums(weights_ + first * kTriangleStride, kTriangleStride, first + kWidth);
    }
    simd::store(inverse_ + first, Vec(1.0F) / (den + Vec(epsilon)));
  }
  if (saved.inverse) std::copy_n(inverse_, count_, saved.inverse);
  if (saved.exponent) std::copy_n(query_exponent_, count_, saved.exponent);
}

void Chunk::join(const float* exponents, float sign, const Sums& to) {
  float top = *to.exponent;
  for (Index i = 0; i < count_; ++i) top = std::max(top, sign * exponents[i]);
  if (top > *to.exponent) {
    const float factor = power(*to.exponent, top);
    for (Index i = 0; i < widths_.exponent_offset(); ++i) to.matrix[i] *= factor;
    *to.exponent = top;
  }
  fill_factors(exponents, sign, -top);
}

void Chunk::scale_rows(float* rows) {
  for (Index i = 0; i < count_; ++i) {
    float* const row = rows + i * widths_.value_stride();
    for (Index d = 0; d < widths_.value_stride(); ++d) row[d] *= factor_[i];
  }
}

}  // namespace arena::feature_detail
