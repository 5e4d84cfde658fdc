#pragma once
// AdamW with a learning-rate schedule, on flat buffers.

#include <Eigen/Core>

#include "harness/core/options.hpp"
#include "harness/core/parameters.hpp"
#include "harness/core/team.hpp"

namespace arena {

/// Options written "train.NAME" that belong to schedule and optimiser.
std::vector<OptionSpec> optimizer_options();

/// Learning rate and first beta at step k = 0 .. steps - 1. With w = warmup, at least 1:
///   constant   base * min(1, (k + 1) / w)
///   linear     base * min(1, (k + 1) / w), then straight to 0 at step `steps`
///   cosine     base * min(1, k / w) * (1 + cos(pi * (max(0, k - w) / steps mod 1))) / 2
///   rsqrt      base * min(1, k / w) / sqrt(max(k, w)): the peak is base / sqrt(w)
///   one_cycle  straight from base / 25 to base at step w - 1, then straight to base / 25 / 10^4 at
///              the last step; with beta1_cycle, beta1 goes .95, .85, .95 at the same steps
class Schedule {
 public:
  /// Reads steps, learning_rate, schedule, warmup, beta1 and beta1_cycle. Throws Error on a
  /// warm-up longer than the training.
  explicit Schedule(const Options& train);

  double learning_rate(Index step) const;
  double beta1(Index step) const;
  Index warmup() const { return warmup_; }
  Index steps() const { return steps_; }

 private:
  /// Between three corners at steps 0, warmup - 1 and steps - 1.
  double cycle(Index step, double first, double peak, double last) const;

  std::string name_;
  double base_, beta1_;
  bool beta1_cycle_;
  Index warmup_, steps_;
};

/// Kingma and Ba's Adam with decoupled weight decay (p -= rate * decay * p), bias-corrected, and
/// clipping of the gradient's norm, to which l2 * p is added then. Padding and parameters that are
/// not trainable stay as they are.
class Optimizer {
 public:
  Optimizer(const ParameterLayout& layout, const Options& train);

  /// One update, `step` counted from 0; works on fixed chunks in parallel. Scales `grads` in place
  /// where their norm exceeds the clip, and adds the gradient of l2.
  void update(const Team& team, Index step, std::span<float> weights, std::span<float> grads);

  const Schedule& schedule() const { return schedule_; }
  std::span<float> first_moment() {
    return {first_.data(), static_cast<std::size_t>(first_.size())};
  }
  std::span<float> second_moment() {
    return {second_.data(), static_cast<std::size_t>(second_.size())};
  }

 private:
  struct Chunk {
    Index offset = 0, size = 0;
  };

  void clip_norm(const Team& team, std::span<float> grads);

  Schedule schedule_;
  double beta2_, epsilon_, weight_decay_, l2_, clip_;
  std::vector<Chunk> chunks_;       // of trainable parameters only
  std::vector<double> chunk_sums_;  // squared norm of each chunk
  Eigen::ArrayXf first_, second_;
};

}  // namespace arena
