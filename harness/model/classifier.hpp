#pragma once
// What stands behind the last block: norm, then Linear - ReLU - Linear on the mean over positions
// (a label for the sequence) or on each scored position, and the loss.

#include "harness/layers/loss.hpp"
#include "harness/model/feed_forward.hpp"
#include "tasks/task.hpp"

namespace arena {

class Classifier {
 public:
  struct Settings {
    Index dim = 64, hidden = 128, num_classes = 2;
    float norm_epsilon = 1e-5F;
    Answer answer = Answer::kSequenceLabel;
  };

  explicit Classifier(const Settings& settings) : settings_(settings) {}

  std::vector<ParameterSpec> specs() const;

  /// Scores x [len, dim] against labels (one, or one per position with kNotScored gaps). `right`,
  /// if not empty, gets 1 or 0 per scored label. With `d_x` not empty, overwrites it with the
  /// gradient of loss_scale * (sum of losses) and adds to grads.
  LossSum run(const Team& team, ConstView x, std::span<const std::int32_t> labels,
              const Weights& weights, float loss_scale, std::span<std::uint8_t> right, View d_x,
              const Slices& grads) const;

 private:
  struct Pass;
  LossSum score_sequence(const Pass& pass, std::span<std::uint8_t> right) const;
  LossSum score_positions(const Pass& pass, std::span<std::uint8_t> right) const;
  LossSum score(const Pass& pass, ConstView features, std::span<const std::int32_t> labels,
                std::span<std::uint8_t> right, View d_features) const;

  Settings settings_;
};

/// Number of labels that are scored.
Index count_scored(std::span<const std::int32_t> labels);

}  // namespace arena
