#include "harness/layers/layer_norm.hpp"

#include <cmath>

#include "harness/layers/simd.hpp"

namespace arena {

std::vector<ParameterSpec> layer_norm_specs(const std::string& name, Index width) {
  return {{.name = name + ".scale", .rows = 1, .cols = width, .init = Init::ones()},
          {.name = name + ".shift", .rows = 1, .cols = width, .init = Init::zeros()}};
}

namespace {

using simd::Vec;

const float* row_of(const ConstView& x, Index i) {
  return x.data() + i * x.outerStride();
}
float* row_of(const View& x, Index i) {
  return const_cast<float*>(x.data()) + i * x.outerStride();
}

/// y = (x - mean) * factor * scale + shift for one row.
inline void norm_row(const float* x, const float* scale, const float* shift, float mean,
                     float factor, Index width, float* y) {
  simd::for_vectors(width, [&](Index j, Index lanes) {
    const Vec n = (simd::load_part(x + j, lanes) - Vec(mean)) * Vec(factor);
    simd::store_part(
        y + j, n * simd::load_part(scale + j, lanes) + simd::load_part(shift + j, lanes), lanes);
  });
}

/// d_scale += sum over rows of d_y * n, d_shift += sum of d_y, some columns at a time.
void add_norm_sums(ConstView x, ConstView statistics, ConstView d_y, View d_scale, View d_shift) {
  simd::for_vectors(x.cols(), [&](Index j, Index lanes) {
    Vec scale_sum(0.0F), shift_sum(0.0F);
    for (Index i = 0; i < x.rows(); ++i) {
      const Vec n = (simd::load_part(row_of(x, i) + j, lanes) - Vec(statistics(i, 0))) *
                    Vec(statistics(i, 1));
      const Vec d = simd::load_part(row_of(d_y, i) + j, lanes);
      scale_sum = d * n + scale_sum;
      shift_sum = shift_sum + d;
    }
    float* const scale = d_scale.data() + j;
    float* const shift = d_shift.data() + j;
    simd::store_part(scale, simd::load_part(scale, lanes) + scale_sum, lanes);
    simd::store_part(shift, simd::load_part(shift, lanes) + shift_sum, lanes);
  });
}

}  // namespace

void layer_norm(ConstView x, ConstView scale, ConstView shift, float epsilon, View y,
                View statistics) {
  const Index width = x.cols();
  const auto count = static_cast<float>(width);
  for (Index i = 0; i < x.rows(); ++i) {
    const float* const row = row_of(x, i);
    Vec total(0.0F), squares(0.0F);
    simd::for_vectors(
        width, [&](Index j, Index lanes) { total = total + simd::load_part(row + j, lanes); });
    const float mean = simd::sum(total) / count;
    simd::for_vectors(width, [&](Index j, Index lanes) {
      // Lanes beyond the row do not count.
      const Vec inside = simd::load_part(row + j, lanes) - Vec(mean);
      const Vec d =
          lanes == simd::kWidth
              ? inside
              : simd::select(simd::iota() < Vec(static_cast<float>(lanes)), inside, Vec(0.0F));
      squares = d * d + squares;
    });
    const float factor = 1 / std::sqrt(simd::sum(squares) / count + epsilon);
    statistics(i, 0) = mean;
    statistics(i, 1) = factor;
    norm_row(row, scale.data(), shift.data(), mean, factor, width, row_of(y, i));
  }
}

void layer_norm_again(ConstView x, ConstView scale, ConstView shift, ConstView statistics, View y) {
  for (Index i = 0; i < x.rows(); ++i) {
    norm_row(row_of(x, i), scale.data(), shift.data(), statistics(i, 0), statistics(i, 1), x.cols(),
             row_of(y, i));
  }
}

// With n = (x - mean) * factor and g = d_y * scale:
//   d_x = residual + factor * (g - mean(g) - n * mean(g * n)).
void layer_norm_backward(ConstView x, ConstView statistics, ConstView scale, ConstView d_y,
                         ConstView residual, View d_x, View d_scale, View d_shift) {
  const Index width = x.cols();
  const auto count = static_cast<float>(width);
  add_norm_sums(x, statistics, d_y, d_scale, d_shift);
  for (Index i = 0; i < x.rows(); ++i) {
    const float* const row = row_of(x, i);
    const float* const d_row = row_of(d_y, i);
    float* const to = row_of(d_x, i);
    const Vec mean(statistics(i, 0)), factor(statistics(i, 1));
    Vec g_sum(0.0F), gn_sum(0.0F);
    simd::for_vectors(width, [&](Index j, Index lanes) {
      const Vec n = (simd::load_part(row + j, lanes) - mean) * factor;
      const Vec g = simd::load_part(d_row + j, lanes) * simd::load_part(scale.data() + j, lanes);
      g_sum = g_sum + g;
      gn_sum = g * n + gn_sum;
    });
    const Vec g_mean(simd::sum(g_sum) / count), gn_mean(simd::sum(gn_sum) / count);
    const float* const start = residual.empty() ? nullptr : row_of(residual, i);
    simd::for_vectors(width, [&](Index j, Index lanes) {
      const Vec n = (simd::load_part(row + j, lanes) - mean) * factor;
      const Vec g = simd::load_part(d_row + j, lanes) * simd::load_part(scale.data() + j, lanes);
      const Vec d = factor * (g - g_mean - n * gn_mean);
      simd::store_part(to + j, start ? simd::load_part(start + j, lanes) + d : d, lanes);
    });
  }
}

}  // namespace arena
