#include "harness/layers/linear.hpp"

namespace arena {

std::vector<ParameterSpec> linear_specs(const std::string& name, Index in, Index out, Init weight) {
  return {{.name = name + ".weight", .rows = in, .cols = out, .init = weight},
          {.name = name + ".bias", .rows = 1, .cols = out, .init = Init::zeros()}};
}

void linear(ConstView x, ConstView weight, ConstView bias, View y) {
  multiply_add_bias(x, weight, bias, y);
}

void linear_backward_input(ConstView d_y, ConstView weight_transposed, View d_x, Output output) {
  multiply(d_y, weight_transposed, d_x, output);
}

void linear_backward_weights(ConstView x, ConstView d_y, View d_weight, View d_bias) {
  multiply_transposed(x, d_y, d_weight, Output::kAdd);
  for (Index i = 0; i < d_y.rows(); ++i) d_bias.row(0) += d_y.row(i);
}

}  // namespace arena
