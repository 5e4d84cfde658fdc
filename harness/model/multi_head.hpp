#pragma once
// The default AttentionLayer: query, key, value and output projections around one head each.

#include "variants/attention.hpp"

namespace arena {

/// Projections with bias from model_dim to num_heads * head_dim and back; head h computes on
/// columns [h * head_dim, (h + 1) * head_dim). With a context, key and value come from it.
/// Heads run in parallel unless they share a parameter, then one after another with the whole team.
std::unique_ptr<AttentionLayer> make_multi_head(std::unique_ptr<AttentionHead> head,
                                                const Setup& setup);

}  // namespace arena
