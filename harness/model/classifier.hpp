#pragma once
// What stands behind the last block: norm, then Linear - ReLU - Linear on the mean over positions
// (a label for the sequence), on each scored position or node, or on [a, b, a * b, a - b] of the
// means of two sequences, and the loss.

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
    bool pairs = false;
  };

  /// What all parts of one call share.
  struct Request {
    const Team& team;
    std::span<const std::int32_t> labels;  // one, or one per position with kNotScored gaps
    const Weights& weights;
    float loss_scale = 1;
    std::span<std::uint8_t> right{};  // if not empty, gets 1 or 0 per scored label
    bool training = false;
    const Slices& grads;  // in training, added to
  };

  /// The mean of one sequence, in the team's workspace.
  struct Pooled {
    View mean, d_mean;  // [1, dim]
    View statistics;    // [len, 2]
  };

  explicit Classifier(const Settings& settings) : settings_(settings) {}

  std::vector<ParameterSpec> specs() const;

  /// Scores x [len, dim]. In training, overwrites d_x with the gradient of loss_scale * (sum of
  /// losses) and adds to the gradients of the weights.
  LossSum run(const Request& request, ConstView x, View d_x) const;

  /// The likeliest class of one row x [1, dim].
  std::int32_t likeliest(const Request& request, ConstView x) const;

  /// The same in parts, for two sequences: the mean of each, the score of both, which in training
  /// writes both d_mean, and the way back to each x.
  Pooled pool(const Request& request, ConstView x) const;
  LossSum run_pair(const Request& request, const Pooled& first, const Pooled& second) const;
  void pool_backward(const Request& request, ConstView x, const Pooled& pooled, View d_x) const;

 private:
  struct Transposes;
  Transposes transpose_weights(const Request& request) const;
  LossSum score_positions(const Request& request, ConstView x, View d_x) const;
  struct Scored;
  Scored score_rows(const Request& request, ConstView features) const;
  LossSum score(const Request& request, const Transposes& transposed, ConstView features,
                std::span<const std::int32_t> labels, std::span<std::uint8_t> right,
                View d_features) const;

  Settings settings_;
};

/// Number of labels that are scored.
Index count_scored(std::span<const std::int32_t> labels);

}  // namespace arena
