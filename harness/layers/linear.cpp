#include "harness/layers/linear.hpp"

#include <type_traits>

#include "harness/layers/simd.hpp"

namespace arena {

std::vector<ParameterSpec> linear_specs(const std::string& name, Index in, Index out, Init weight) {
  return {{.name = name + ".weight", .rows = in, .cols = out, .init = weight, .transposed = true},
          {.name = name + ".bias", .rows = 1, .cols = out, .init = Init::zeros()}};
}

void linear(ConstView x, ConstView weight, ConstView bias, View y) {
  const Term term{x, weight};
  multiply(std::span(&term, 1), {.bias = bias}, y);
}

void linear_backward_input(ConstView d_y, ConstView weight_transposed, View d_x, Output output) {
  multiply(d_y, weight_transposed, d_x, output);
}

void linear_backward_weights(ConstView x, ConstView d_y, View d_weight, View d_bias) {
  multiply(transpose(x), d_y, d_weight, Output::kAdd);
  add_column_sums(d_y, d_bias);
}

void add_column_sums(ConstView x, View sums) {
  constexpr Index kVectors = 4;  // sums kept in registers at a time
  const Index stride = x.outerStride();
  Index col = 0;
  const auto add = [&]<Index Vectors>(std::integral_constant<Index, Vectors>) {
    simd::Vec sum[Vectors];
    for (Index v = 0; v < Vectors; ++v) sum[v] = simd::load(sums.data() + col + v * simd::kWidth);
    for (Index i = 0; i < x.rows(); ++i) {
      const float* const row = x.data() + i * stride + col;
      for (Index v = 0; v < Vectors; ++v) sum[v] += simd::load(row + v * simd::kWidth);
    }
    for (Index v = 0; v < Vectors; ++v) simd::store(sums.data() + col + v * simd::kWidth, sum[v]);
    col += Vectors * simd::kWidth;
  };
  while (col + kVectors * simd::kWidth <= x.cols()) add(std::integral_constant<Index, kVectors>{});
  while (col + simd::kWidth <= x.cols()) add(std::integral_constant<Index, 1>{});
  for (; col < x.cols(); ++col) {
    for (Index i = 0; i < x.rows(); ++i) sums(0, col) += x(i, col);
  }
}

}  // namespace arena
