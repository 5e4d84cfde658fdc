#include "variants/engine/block_mixing.hpp"

#include "harness/layers/product.hpp"

namespace arena {

double BlockGroup::mixing_flops() const {
  double products = 0;
  for (Index t = 0; t < mixture_rows(); ++t) {
    products += static_cast<double>(blocks_.size() * sources(t));
  }
  return 4 * products * static_cast<double>(shape_.head_dim);
}

void mix_blocks(const Team& team, const BlockGroup& group, const BlockMixture<ConstView>& mixture,
                const HeadInputs& in, const MixedRows<View>& mixtures) {
  team.for_each(group.mixture_rows(), [&](Index t, const Team&) {
    if (group.sources(t) == 0) return;
    const ConstView weights = group.weights(mixture, t);
    multiply(weights, group.source_rows(in.key, t), group.rows_of_mixtures(mixtures.key, t),
             Output::kOverwrite);
    multiply(weights, group.source_rows(in.value, t), group.rows_of_mixtures(mixtures.value, t),
             Output::kOverwrite);
  });
}

void mix_blocks_backward(const Team& team, const BlockGroup& group,
                         const BlockMixture<ConstView>& mixture, const HeadInputs& in,
                         const MixedRows<View>& d_mixtures, const HeadGrads& d_in,
                         const BlockMixture<View>& grads) {
  team.for_each(group.mixture_rows(), [&](Index t, const Team&) {
    if (group.sources(t) == 0) return;
    const Factor weights = transpose(group.weights(mixture, t));
    multiply(weights, group.rows_of_mixtures(d_mixtures.key, t), group.source_rows(d_in.key, t),
             Output::kAdd);
    multiply(weights, group.rows_of_mixtures(d_mixtures.value, t), group.source_rows(d_in.value, t),
             Output::kAdd);
  });
  for (Index t = 0; t < group.mixture_rows(); ++t) {
    if (group.sources(t) == 0) continue;
    const View d_weights = group.weights(grads, t);
    multiply(team, group.rows_of_mixtures(d_mixtures.key, t),
             transpose(group.source_rows(in.key, t)), d_weights, Output::kAdd);
    multiply(team, group.rows_of_mixtures(d_mixtures.value, t),
             transpose(group.source_rows(in.value, t)), d_weights, Output::kAdd);
  }
}

}  // namespace arena
