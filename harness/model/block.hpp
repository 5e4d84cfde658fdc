#pragma once
// The default Encoder: a pre-LayerNorm block around an attention layer.
//
//   x1 = x + dropout(attention(norm(x))),  y = feed_forward(x1) (with its own norm and residual)

#include "harness/model/feed_forward.hpp"
#include "variants/attention.hpp"

namespace arena {

std::unique_ptr<Encoder> make_block(std::unique_ptr<AttentionLayer> attention, const Setup& setup,
                                    const BlockSettings& settings);

}  // namespace arena
