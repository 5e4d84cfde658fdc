#pragma once
// Scope step: one training step (forward, backward, AdamW) of a 2-layer model on a batch that stays
// in memory, through the code that trains.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/bench/bench.hpp"
#include "harness/bench/timed.hpp"
#include "harness/train/training.hpp"
#include "tasks/task.hpp"

namespace arena {

constexpr Index kStepLayers = 2;

/// The batch of a shape as a task without other splits: `shape.batch` sequences of shape.length
/// random tokens, or the first training samples of shape.task. A function of the shape alone, but
/// for the edges (bench_graph) that random sequences have where they are wanted.
class StepBatch final : public Task {
 public:
  explicit StepBatch(const BenchShape& shape, bool with_edges = false);

  Answer answer() const override { return Answer::kSequenceLabel; }
  Index vocab_size() const override { return vocab_size_; }
  Index num_classes() const override { return num_classes_; }
  Index max_len() const override { return max_len_; }
  bool pairs() const override { return pairs_; }
  Index size(Split split) const override {
    return split == Split::kTrain ? static_cast<Index>(samples_.size()) : 0;
  }
  Sample sample(Split, Index index) const override {
    return samples_[static_cast<std::size_t>(index)];
  }
  std::string dataset_hash() const override { return dataset_hash_; }
  std::vector<Baseline> baselines() const override { return {}; }
  std::string describe(const Sample&) const override { return "one of a timed batch"; }

  const std::vector<Sample>& samples() const { return samples_; }
  Index tokens() const;
  /// "min", "mean" and "max" of the sequences.
  std::map<std::string, double> lengths() const;

 private:
  Index vocab_size_ = 0, num_classes_ = 0, max_len_ = 0;
  bool pairs_ = false;
  std::string dataset_hash_;
  std::vector<Sample> samples_;
};

/// shape.task resolved against the registry: "listops[max_len=512]".
struct ChosenTask {
  const TaskInfo& info;
  Options options;

  std::string label() const { return info.name + options.difference(info.options); }
};
/// Throws Error on an unknown name (naming the nearest) or a bad option.
ChosenTask choose_task(const std::string& text);

/// Model and training of a shape: width heads * head_dim, hidden twice that, no dropout, AdamW at a
/// constant rate. `batch` must outlive the result.
TrainJob step_job(const BenchShape& shape, const BenchVariant& chosen, const StepBatch& batch);

/// Floating-point operations of one step: 6 per token and weight used in a matrix product (those of
/// the classifier once per sequence, embeddings never) and 3.5 times the attention's forward
/// formula, which is 14 length^2 head_dim per head and layer for exact softmax.
double step_flops(const BenchShape& shape, const BenchVariant& chosen, const StepBatch& batch,
                  const Model& model);

class StepContender final : public Timed {
 public:
  StepContender(const BenchShape& shape, const BenchVariant& chosen, const StepBatch& batch,
                Workers& workers)
      : job_(step_job(shape, chosen, batch)), batch_(batch), training_(job_, workers) {}

  void prepare(const Team&) override {}
  /// One step; throws Error where the loss is not finite.
  void run(const Team&) override { training_.step(); }
  std::uint64_t output_hash() const override { return 0; }

  /// Mean loss of the batch over the steps so far (up to 20).
  double mean_loss() const { return training_.recent_loss(); }
  const Training& training() const { return training_; }

  /// Before the first step: the loss of the batch by the model's own forward and backward, and the
  /// largest relative error of the gradient of all weights against a central difference of that
  /// loss, along one direction.
  struct GradientCheck {
    double loss = 0, error = 0;
  };
  GradientCheck check_gradient(const Team& team) const;

 private:
  double loss_of(const Team& team, std::span<const float> weights, std::span<float> grads) const;

  TrainJob job_;
  const StepBatch& batch_;
  Training training_;
};

}  // namespace arena
