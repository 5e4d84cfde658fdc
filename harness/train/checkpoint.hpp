#pragma once
// A training's state on disk: what a resumed run needs to end with the same bits. No time, host or
// thread count is in it.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "harness/core/parameters.hpp"
#include "results/record.hpp"

namespace arena {

/// How far a training is, beside its buffers.
struct TrainState {
  Index step = 0;  // updates done
  Index best_step = -1;
  double best_accuracy = -1;  // on validation
  // Training sequences so far.
  Index sequences = 0, tokens = 0, shortest = 0, longest = 0;
  Index longest_source = 0;  // index in the training split of one as long as `longest`
  // Since the last point of loss_curve.
  double interval_loss = 0;
  Index interval_scored = 0, interval_correct = 0;
  std::vector<CurvePoint> loss_curve{}, validation_curve{};  // wall_s is not saved

  bool operator==(const TrainState&) const = default;
};

/// One flat buffer, saved parameter by parameter as "PREFIX/NAME".
struct CheckpointBuffer {
  std::string prefix;
  const ParameterLayout& layout;
  std::span<float> values;
};

/// What a checkpoint belongs to: every option, seed, data set, as text.
using Identity = std::map<std::string, std::string>;

/// Replaces the file at `path` as a whole.
void save_checkpoint(const std::string& path, const Identity& identity, const TrainState& state,
                     std::span<const CheckpointBuffer> buffers);

/// Reads state and buffers back. False where there is no such file. Throws Error naming the file
/// and the first difference where the checkpoint belongs to something else or is damaged.
bool load_checkpoint(const std::string& path, const Identity& identity, TrainState& state,
                     std::span<const CheckpointBuffer> buffers);

}  // namespace arena
