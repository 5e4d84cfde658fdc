#pragma once
// From what a sample is made of to rows of the model's width: a table of tokens or a linear map of
// vectors, and a table of positions where they count.

#include <vector>

#include "harness/core/parameters.hpp"
#include "harness/core/team.hpp"
#include "tasks/task.hpp"

namespace arena {

/// What is read at once: tokens, or vectors in their place.
struct ModelInput {
  std::span<const std::int32_t> tokens{};
  ConstView features{};  // [len, feature_dim]

  Index len() const {
    return features.empty() ? static_cast<Index>(tokens.size()) : features.rows();
  }
};
/// That of a sample, or of the first document of a pair.
inline ModelInput input_of(const Sample& sample) {
  if (!sample.features) return {.tokens = sample.tokens};
  return {.features = *sample.features};
}

class InputEmbedding {
 public:
  struct Settings {
    Index dim = 64;
    Index vocab_rows = 0, feature_dim = 0;  // one of them is 0
    Index position_rows = 0;                // 0: the model does not know positions
    float deviation = 1;                    // of the initial tables
  };

  explicit InputEmbedding(const Settings& settings) : settings_(settings) {}

  std::vector<ParameterSpec> specs() const;
  /// y [len, dim] = token_table[tokens] or features * weight + bias, and the rows of positions.
  void forward(const Team& team, const ModelInput& input, const ConstSlices& weights, View y) const;
  /// Adds to grads, given d_y [len, dim].
  void backward(const Team& team, const ModelInput& input, ConstView d_y,
                const Slices& grads) const;

 private:
  /// The table of positions among the slices; empty where there is none.
  template <class AnySlices>
  auto positions(const AnySlices& slices) const {
    return settings_.position_rows > 0 ? slices[slices.size() - 1] : decltype(slices[0]){};
  }

  Settings settings_;
};

}  // namespace arena
