#pragma once
// y = (x - mean) / sqrt(variance + epsilon) * scale + shift, for each row.

#include <string>
#include <vector>

#include "harness/core/parameters.hpp"

namespace arena {

/// "NAME.scale" [1, width], ones, and "NAME.shift" [1, width], zeros.
std::vector<ParameterSpec> layer_norm_specs(const std::string& name, Index width);

/// y [rows, width]; `statistics` [rows, 2] gets mean and 1 / sqrt(variance + epsilon).
void layer_norm(ConstView x, ConstView scale, ConstView shift, float epsilon, View y,
                View statistics);

/// y again from x and the statistics that the forward pass kept.
void layer_norm_again(ConstView x, ConstView scale, ConstView shift, ConstView statistics, View y);

/// d_x = residual + the derivative (an empty residual is zero), d_scale += ..., d_shift += ...;
/// d_x may be the residual or d_y itself.
void layer_norm_backward(ConstView x, ConstView statistics, ConstView scale, ConstView d_y,
                         ConstView residual, View d_x, View d_scale, View d_shift);

}  // namespace arena
