#include "harness/layers/row_blocks.hpp"

namespace arena {
namespace {

constexpr Index kSharedRows = 16;  // rows of d_weight that one worker takes at a time

}  // namespace

void linear_backward_weights(const Team& team, ConstView x, ConstView d_y, View d_weight,
                             View d_bias) {
  const Index share = team.size() == 1 ? d_weight.rows() : kSharedRows;
  const Index shares = (d_weight.rows() + share - 1) / share;
  team.for_each(shares, [&](Index s, const Team&) {
    const Index column = s * share;
    const Index columns = std::min(share, d_weight.rows() - column);
    for (Index first = 0; first < x.rows(); first += kRowBlock) {
      const Index count = std::min(kRowBlock, x.rows() - first);
      const ConstView d_rows = d_y.row_slice(first, count);
      multiply_transposed(x.row_slice(first, count).column_slice(column, columns), d_rows,
                          d_weight.row_slice(column, columns), Output::kAdd);
      if (s == 0) add_column_sums(d_rows, d_bias);
    }
  });
}

View transposed(Workspace& workspace, ConstView weight) {
  const View copy = workspace.matrix(weight.cols(), weight.rows());
  transpose(weight, copy);
  return copy;
}

}  // namespace arena
