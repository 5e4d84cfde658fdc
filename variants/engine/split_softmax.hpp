#pragma once
// Full softmax attention where one side is short: landmarks, latents, mixtures. The long side is
// cut into pieces, so that one head occupies a team: the tiled engine shares its work by tiles of
// queries in forward and chunks of keys in backward, of which a short side has one.
//
// The number of pieces is a function of the length alone, and pieces are merged in order.

#include "variants/engine/tiled_softmax.hpp"

namespace arena {

/// softmax_forward of few queries over many keys. Partial results merge by their log-sum-exp.
void softmax_forward_few_queries(const Team& team, const HeadInputs& in, float scale, View out,
                                 View statistics);
/// softmax_backward of many queries over few keys. d_key and d_value are sums over pieces.
void softmax_backward_few_keys(const Team& team, const HeadInputs& in, float scale,
                               const HeadOutputGrads& d_outputs, const ConstView& statistics,
                               HeadGrads d_in);

SoftmaxScratch few_queries_forward_scratch(const Extents& extents, Index head_dim, Index workers);
SoftmaxScratch few_keys_backward_scratch(const Extents& extents, Index head_dim, Index workers);

}  // namespace arena
