#pragma once
// Softmax attention whose products multiply bfloat16 numbers: tiled_softmax.hpp at half its
// operand width, on machines that have the instructions (bf16::missing()).
//
// Forward rounds query, key, value and the unnormalised weights p <= 1 to bfloat16, relative error
// 2^-8 each; products add up in float, and maximum, exponential and sum are float. So log_sum_exp
// is that of the rounded inputs to float accuracy.
//
// Backward is the float engine's on the rounded query, key and value: the gradient of exact
// attention at the rounded inputs, taken as the gradient at the given ones (rounding counts as the
// identity). It errs by what the weights' rounding left in forward_out, of the order of 2^-8.

#include "variants/engine/tiled_softmax.hpp"

namespace arena {

/// As softmax_forward. In parallel over query tiles.
void bf16_softmax_forward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                          HeadOutputs outputs, View statistics);

/// As softmax_backward.
void bf16_softmax_backward(const Team& team, const HeadInputs& in, float scale,
                           const TileMask& mask, const HeadOutputGrads& d_outputs,
                           const ConstView& statistics, HeadGrads d_in);

SoftmaxScratch bf16_softmax_forward_scratch(const Extents& extents, Index head_dim, Index workers);
SoftmaxScratch bf16_softmax_backward_scratch(const Extents& extents, Index head_dim,
                                             Index chunk_reach, Index workers);

}  // namespace arena
