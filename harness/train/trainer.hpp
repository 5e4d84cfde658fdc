#pragma once
// Trains one model on one task; the same seed gives the same bytes on any number of threads.

#include <atomic>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "harness/core/options.hpp"
#include "harness/core/team.hpp"
#include "harness/model/model.hpp"
#include "results/record.hpp"
#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {

/// Options written "train.NAME", with ranges and defaults; those of the model: harness/model.
std::vector<OptionSpec> train_options();

struct TrainJob {
  const Variant& variant;
  Options variant_options;
  const Task& task;
  Options model;
  Options train;
  std::uint64_t seed = 0;
  std::string checkpoint;                   // path; "" = none; resumed from when it exists
  const std::atomic<bool>* stop = nullptr;  // set by a signal: save a checkpoint, throw Stopped
};

struct TrainProgress {
  Index step = 0, steps = 0;
  double loss = 0, accuracy = 0;    // running means over recent training steps
  double validation_accuracy = -1;  // latest, or -1
  double tokens_per_s = 0;
  double seconds_left = 0;
};

class Stopped : public std::exception {
 public:
  const char* what() const noexcept override { return "stopped after saving; run again to go on"; }
};

/// Fills the training fields of a Record: status and error (why it is NOT_LEARNED), steps, curves,
/// accuracies, metrics, correct, chance and shortcut accuracies, parameters, workspace_bytes,
/// learning_rate, lengths, wall_s, tokens_per_s, dataset_hash, settings. Throws Error with
/// Failure::kDiverged on a loss that is not finite. `progress` is called a few times a second.
Record train(const TrainJob& job, Workers& workers,
             const std::function<void(const TrainProgress&)>& progress);

}  // namespace arena
