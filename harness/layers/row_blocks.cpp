#include "harness/layers/row_blocks.hpp"

namespace arena {
void linear_backward_weights(const Team& team, ConstView x, ConstView d_y, View d_weight,
                             View d_bias) {
  multiply(team, transpose(x), d_y, d_weight, Output::kAdd);
  add_column_sums(d_y, d_bias);
}

ConstView transposed(Workspace& workspace, const Weights& weights, Index i) {
  if (weights.transposed.present()) return weights.transposed.transpose_at(i);
  const ConstView weight = weights.parameters[i];
  const View copy = workspace.matrix(weight.cols(), weight.rows());
  transpose(weight, copy);
  return copy;
}

}  // namespace arena
