#pragma once
// Token and, where wanted, learned position embedding of one sequence.

#include <cstdint>
#include <span>

#include "harness/core/matrix.hpp"

namespace arena {

/// y [len, width]: row i = token_table[tokens[i]] + position_table[i]. Tokens must lie in the
/// table, and the sequence must not be longer than position_table, which may be empty: no
/// positions.
void embed(std::span<const std::int32_t> tokens, ConstView token_table, ConstView position_table,
           View y);
/// Adds the rows of d_y to the rows of the tables they came from.
void embed_backward(std::span<const std::int32_t> tokens, ConstView d_y, View d_token_table,
                    View d_position_table);

}  // namespace arena
