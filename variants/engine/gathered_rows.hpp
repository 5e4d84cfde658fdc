#pragma once
// Dot products with, and weighted sums of, rows that are named by their numbers: each row is read
// from wherever it lies, once, and nothing beside it.

#include <utility>

#include "harness/layers/product.hpp"
#include "harness/layers/simd.hpp"

namespace arena {

/// Rows at[0], at[1], ... of a matrix.
struct GatheredRows {
  GatheredRows(const ConstView& matrix, const std::int32_t* numbers)
      : data(matrix.data()), stride(matrix.outerStride()), width(matrix.cols()), at(numbers) {}
  const float* operator()(Index e) const { return data + at[e] * stride; }

  const float* data;
  Index stride, width;
  const std::int32_t* at;
};

/// Rows 0, 1, ... of a matrix.
struct ConsecutiveRows {
  explicit ConsecutiveRows(const ConstView& matrix)
      : data(matrix.data()), stride(matrix.outerStride()), width(matrix.cols()) {}
  const float* operator()(Index e) const { return data + e * stride; }

  const float* data;
  Index stride, width;
};

namespace gathered_detail {

using simd::kWidth;
using simd::Vec;

/// dots[e] = <x, row(e)>, of rows of kVectors vectors; 0: of any number.
template <Index kVectors, class Rows>
void dots_of(const float* x, const Rows& rows, Index count, float* dots) {
  const Index last = kVectors > 0 ? kVectors - 1 : (rows.width - 1) / kWidth;
  const Index lanes = rows.width - last * kWidth;
  const Vec tail = simd::load_part(x + last * kWidth, lanes);
  const auto products = [&](Index e) {
    const float* const row = rows(e);
    Vec sum = tail * simd::load_part(row + last * kWidth, lanes);
    for (Index v = 0; v < last; ++v) {
      simd::add_product(sum, simd::load(x + v * kWidth), simd::load(row + v * kWidth));
    }
    return sum;
  };
  Index e = 0;
  for (; e + kWidth <= count; e += kWidth) {
    simd::store(dots + e, simd::row_sums([&](Index lane) { return products(e + lane); }));
  }
  for (; e < count; ++e) dots[e] = simd::sum(products(e));
}

/// kVector... are vectors of `to` from `first` on; the last may be in part behind the row's end.
/// Two sums for each hide the latency of the additions.
template <std::size_t... kVector, class Rows>
void sum_vectors(std::index_sequence<kVector...>, Index first, const float* weights,
                 const Rows& rows, Index count, float* to, Output output) {
  constexpr std::size_t kLast = sizeof...(kVector) - 1;
  const Index lanes = std::min(kWidth, rows.width - first - Index{kLast} * kWidth);
  const auto load = [&](const float* row, std::size_t v) {
    const float* const from = row + first + static_cast<Index>(v) * kWidth;
    return v < kLast ? simd::load(from) : simd::load_part(from, lanes);
  };
  Vec even[] = {(output == Output::kAdd ? load(to, kVector) : Vec(0.0F))...};
  Vec odd[] = {(static_cast<void>(kVector), Vec(0.0F))...};
  Index e = 0;
  for (; e + 2 <= count; e += 2) {
    const float* const row = rows(e);
    const float* const next = rows(e + 1);
    const Vec weight(weights[e]), next_weight(weights[e + 1]);
    (simd::add_product(even[kVector], weight, load(row, kVector)), ...);
    (simd::add_product(odd[kVector], next_weight, load(next, kVector)), ...);
  }
  if (e < count) {
    const float* const row = rows(e);
    const Vec weight(weights[e]);
    (simd::add_product(even[kVector], weight, load(row, kVector)), ...);
  }
  (simd::store_part(to + first + Index{kVector} * kWidth, even[kVector] + odd[kVector],
                    kVector < kLast ? kWidth : lanes),
   ...);
}

}  // namespace gathered_detail

/// dots[e] = <x [width], row e> for e below count.
template <class Rows>
void dot_rows(const float* x, const Rows& rows, Index count, float* dots) {
  using gathered_detail::dots_of;
  switch ((rows.width + simd::kWidth - 1) / simd::kWidth) {
    case 1:
      return dots_of<1>(x, rows, count, dots);
    case 2:
      return dots_of<2>(x, rows, count, dots);
    case 4:
      return dots_of<4>(x, rows, count, dots);
    case 8:
      return dots_of<8>(x, rows, count, dots);
    default:
      return dots_of<0>(x, rows, count, dots);
  }
}

/// to [width] = or += the sum of weights[e] times row e over e below count.
template <class Rows>
void sum_rows(const float* weights, const Rows& rows, Index count, float* to, Output output) {
  Index first = 0;
  const auto add = [&]<std::size_t kVectors>(std::integral_constant<std::size_t, kVectors>) {
    gathered_detail::sum_vectors(std::make_index_sequence<kVectors>{}, first, weights, rows, count,
                                 to, output);
    first += Index{kVectors} * simd::kWidth;
  };
  const auto left = [&] { return rows.width - first; };
  while (left() > 3 * simd::kWidth) add(std::integral_constant<std::size_t, 4>{});
  if (left() > simd::kWidth) add(std::integral_constant<std::size_t, 2>{});
  if (left() > 0) add(std::integral_constant<std::size_t, 1>{});
}

}  // namespace arena
