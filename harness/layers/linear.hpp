#pragma once
// y = x W + b on rows of one sequence, W [in, out], b [1, out].

#include <string>
#include <vector>

#include "harness/core/parameters.hpp"
#include "harness/layers/product.hpp"

namespace arena {

/// "NAME.weight" [in, out] and "NAME.bias" [1, out]; the bias starts at zero.
/// The weight has its transpose in Weights.
std::vector<ParameterSpec> linear_specs(const std::string& name, Index in, Index out, Init weight);

/// y [rows, out] = x [rows, in] weight + bias.
void linear(ConstView x, ConstView weight, ConstView bias, View y);

/// d_x [rows, in] = or += d_y weight^T, given weight_transposed [out, in].
void linear_backward_input(ConstView d_y, ConstView weight_transposed, View d_x, Output output);

/// d_weight += x^T d_y, d_bias += column sums of d_y.
void linear_backward_weights(ConstView x, ConstView d_y, View d_weight, View d_bias);

/// sums [1, cols] += each row of x, from the first to the last.
void add_column_sums(ConstView x, View sums);

}  // namespace arena
