#include "harness/model/input_embedding.hpp"

#include "harness/layers/embedding.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/rows.hpp"

namespace arena {
namespace {

// Of vectors; a table of tokens is the only parameter in their place.
enum Parameter : Index { kWeight, kBias };
constexpr Index kTokens = 0;

}  // namespace

std::vector<ParameterSpec> InputEmbedding::specs() const {
  const auto table = [&](const char* name, Index rows) {
    return ParameterSpec{.name = name,
                         .rows = rows,
                         .cols = settings_.dim,
                         .init = Init::normal(settings_.deviation)};
  };
  std::vector<ParameterSpec> specs;
  if (settings_.feature_dim > 0) {
    specs.push_back({.name = "features.weight",
                     .rows = settings_.feature_dim,
                     .cols = settings_.dim,
                     .init = Init::xavier()});
    specs.push_back({.name = "features.bias", .rows = 1, .cols = settings_.dim});
  } else {
    specs.push_back(table("token", settings_.vocab_rows));
  }
  if (settings_.position_rows > 0) specs.push_back(table("position", settings_.position_rows));
  return specs;
}

void InputEmbedding::forward(const Team& team, const ModelInput& input, const ConstSlices& weights,
                             View y) const {
  const ConstView position = positions(weights);
  if (settings_.feature_dim == 0) return embed(input.tokens, weights[kTokens], position, y);
  for_row_blocks(team, input.len(), [&](Index first, Index count, const Team&) {
    const View rows = y.row_slice(first, count);
    linear(input.features.row_slice(first, count), weights[kWeight], weights[kBias], rows);
    if (!position.empty()) add_rows(position.row_slice(first, count), rows);
  });
}

void InputEmbedding::backward(const Team& team, const ModelInput& input, ConstView d_y,
                              const Slices& grads) const {
  const View d_position = positions(grads);
  if (settings_.feature_dim == 0) {
    return embed_backward(input.tokens, d_y, grads[kTokens], d_position);
  }
  linear_backward_weights(team, input.features, d_y, grads[kWeight], grads[kBias]);
  if (!d_position.empty()) add_rows(d_y, d_position.row_slice(0, input.len()));
}

}  // namespace arena
