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
  add_column_sums(d_y, d_bias);
}

void add_column_sums(ConstView x, View sums) {
  for (Index i = 0; i < x.rows(); ++i) sums.row(0) += x.row(i);
}

}  // namespace arena
