#pragma once
// One training under way: model, buffers, state, and the step that changes them.

#include <chrono>

#include "harness/model/model.hpp"
#include "harness/train/batch.hpp"
#include "harness/train/checkpoint.hpp"
#include "harness/train/evaluation.hpp"
#include "harness/train/optimizer.hpp"
#include "harness/train/trainer.hpp"

namespace arena {

class Training {
 public:
  /// Initialises everything from the job's seed, or goes on from its checkpoint.
  Training(const TrainJob& job, Workers& workers);

  bool finished() const { return state_.step == optimizer_.schedule().steps(); }
  /// One update; throws Error (Failure::kDiverged) on a loss that is not finite. At the steps of
  /// `evaluate_every` and at the last one, scores the validation split and keeps the best weights.
  void step();
  void save();

  const TrainState& state() const { return state_; }
  const Model& model() const { return model_; }
  const Optimizer& optimizer() const { return optimizer_; }
  double recent_loss() const { return recent_loss_; }
  double recent_accuracy() const { return recent_accuracy_; }
  bool resumed() const { return resumed_; }
  double training_s() const { return training_s_; }   // in steps of this process, no evaluation
  Index tokens_here() const { return tokens_here_; }  // trained on by this process
  double wall_s() const;                              // since this process began

  ModelValues last_values() const;
  ModelValues best_values() const;
  Evaluation score(Split split, Index count, const ModelValues& values) const;
  /// Bytes of workspace that training on the longest sequence so far takes on one worker.
  Index longest_footprint() const;

 private:
  /// Gradients and statistics of some sequences of a batch.
  struct Shard {
    Eigen::ArrayXf grads, statistics;
    double loss = 0;
    Index correct = 0;
  };

  void run_shard(Index index, const ModelValues& values, const Team& team);
  void sum_shards();
  void note_batch();
  void note_losses();
  void evaluate_validation();
  Call call_of(Index sequence, const Team& team) const;
  std::vector<CheckpointBuffer> checkpoint_buffers();

  const TrainJob& job_;
  Team team_;
  Model model_;
  Optimizer optimizer_;
  Index evaluate_every_, validation_samples_, curve_every_;
  TrainState state_;
  Eigen::ArrayXf weights_, buffers_, best_weights_, best_buffers_;
  Eigen::ArrayXf transposed_;  // of weights_, made by each step
  std::vector<Shard> shards_;
  EpochOrder order_;
  Batch batch_;
  bool resumed_ = false;
  double recent_loss_ = 0, recent_accuracy_ = 0;
  double training_s_ = 0;
  Index tokens_here_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Why the variant cannot be trained on these samples, "" when it can.
std::string why_unsupported(const Variant& variant, const Task& task);

/// Everything that a training's result depends on, as text.
Identity identity_of(const TrainJob& job);

}  // namespace arena
