#pragma once
// One layer of a decoder: a block that also attends to a context, the rows of the encoder.
//
//   x1 = x + dropout(attention(norm(x))), causal;  x2 = x1 + dropout(cross(norm(x1), context))
//   y = feed_forward(x2) (with its own norm and residual)

#include "harness/model/make.hpp"

namespace arena {

/// What does the cross attention: the variant if it claims `cross`, else blocked.
const Variant& cross_variant(const Variant& variant);

/// By the variant's layer form, over sequences that may be one longer than setup.max_len. Throws
/// Failure::kUnsupported where the variant is not causal, has no layer form or cannot write such
/// sequences token by token.
std::unique_ptr<Encoder> make_decoder(const Variant& variant, const Setup& setup,
                                      const Options& options, const BlockSettings& settings);

/// Of two attention layers.
std::unique_ptr<Encoder> make_decoder_block(std::unique_ptr<AttentionLayer> attention,
                                            std::unique_ptr<AttentionLayer> cross,
                                            const Setup& setup, const BlockSettings& settings);

}  // namespace arena
