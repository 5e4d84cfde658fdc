#include "harness/layers/embedding.hpp"

#include <cassert>

namespace arena {

void embed(std::span<const std::int32_t> tokens, ConstView token_table, ConstView position_table,
           View y) {
  assert(position_table.empty() || y.rows() <= position_table.rows());
  for (Index i = 0; i < y.rows(); ++i) {
    const Index token = tokens[static_cast<std::size_t>(i)];
    assert(token >= 0 && token < token_table.rows());
    y.row(i) = token_table.row(token);
    if (!position_table.empty()) y.row(i) += position_table.row(i);
  }
}

void embed_backward(std::span<const std::int32_t> tokens, ConstView d_y, View d_token_table,
                    View d_position_table) {
  for (Index i = 0; i < d_y.rows(); ++i) {
    d_token_table.row(tokens[static_cast<std::size_t>(i)]) += d_y.row(i);
    if (!d_position_table.empty()) d_position_table.row(i) += d_y.row(i);
  }
}

}  // namespace arena
