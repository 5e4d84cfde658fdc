#include "harness/layers/layer_norm.hpp"

#include <cmath>

namespace arena {

std::vector<ParameterSpec> layer_norm_specs(const std::string& name, Index width) {
  return {{.name = name + ".scale", .rows = 1, .cols = width, .init = Init::ones()},
          {.name = name + ".shift", .rows = 1, .cols = width, .init = Init::zeros()}};
}

void layer_norm(ConstView x, ConstView scale, ConstView shift, float epsilon, View y,
                View statistics) {
  const auto width = static_cast<float>(x.cols());
  for (Index i = 0; i < x.rows(); ++i) {
    const auto row = x.row(i).array();
    const float mean = row.sum() / width;
    const float variance = (row - mean).square().sum() / width;
    statistics(i, 0) = mean;
    statistics(i, 1) = 1 / std::sqrt(variance + epsilon);
  }
  layer_norm_again(x, scale, shift, statistics, y);
}

void layer_norm_again(ConstView x, ConstView scale, ConstView shift, ConstView statistics, View y) {
  for (Index i = 0; i < x.rows(); ++i) {
    const float mean = statistics(i, 0);
    const float factor = statistics(i, 1);
    y.row(i).array() =
        (x.row(i).array() - mean) * factor * scale.row(0).array() + shift.row(0).array();
  }
}

// With n = (x - mean) * factor and g = d_y * scale:
//   d_x = factor * (g - mean(g) - n * mean(g * n)).
void layer_norm_backward(ConstView x, ConstView statistics, ConstView scale, ConstView d_y,
                         View d_x, Output output, View d_scale, View d_shift) {
  const auto width = static_cast<float>(x.cols());
  for (Index i = 0; i < x.rows(); ++i) {
    const float mean = statistics(i, 0);
    const float factor = statistics(i, 1);
    const auto n = (x.row(i).array() - mean) * factor;
    const auto d = d_y.row(i).array();
    const auto g = d * scale.row(0).array();
    const float g_mean = g.sum() / width;
    const float gn_mean = (g * n).sum() / width;
    d_scale.row(0).array() += d * n;
    d_shift.row(0).array() += d;
    const auto d_row = factor * (g - g_mean - n * gn_mean);
    if (output == Output::kAdd) {
      d_x.row(i).array() += d_row;
    } else {
      d_x.row(i).array() = d_row;
    }
  }
}

}  // namespace arena
