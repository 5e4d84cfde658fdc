#pragma once
// All heads of one layer: each is a column slice of matrices [len, num_heads * head_dim], and heads
// run in parallel where there are enough of them.

#include <span>
#include <vector>

#include "variants/attention.hpp"

namespace arena {

/// Runs num_heads heads. Inputs and outputs.out are [len, num_heads * head_dim],
/// outputs.log_sum_exp is [query_len, num_heads] or empty; weights, frames and extras have one
/// entry per head (frames empty: save nothing; extras empty: none). call.key is that of the layer:
/// each head gets it folded by its index. Throws Error on a length of 0.
void forward_heads(const AttentionHead& head, const Call& call, Index num_heads,
                   const HeadInputs& in, std::span<const Weights> weights,
                   const HeadOutputs& outputs, std::span<Frame> frames,
                   std::span<const Extras> extras = {});

/// Overwrites d_in (shaped like in), adds to grads (one entry per head). Heads that share a slice
/// of the gradient run one after another, so that sums have one order; others run in parallel.
void backward_heads(const AttentionHead& head, const Call& call, Index num_heads,
                    const HeadInputs& in, std::span<const Weights> weights,
                    const HeadOutputGrads& d_outputs, std::span<const Frame> frames,
                    const HeadGrads& d_in, std::span<const Slices> grads);

}  // namespace arena
