#pragma once
// What the tasks pathfinder and pathx have in common: they differ in size and difficulty only.

#include "tasks/pathfinder/image_cache.hpp"
#include "tasks/pathfinder/shape.hpp"
#include "tasks/task.hpp"

namespace arena {

/// A task whose samples are images [side, side] with two discs; label 1 where they lie on one
/// contour, 0 where on two.
class PathfinderTask : public Task {
 public:
  explicit PathfinderTask(const PathfinderShape& shape) : shape_(shape) {}

  virtual PathfinderImage image(Split split, Index index) const = 0;

  Answer answer() const override { return Answer::kSequenceLabel; }
  Index vocab_size() const override { return 256; }
  Index num_classes() const override { return 2; }
  Index max_len() const override { return shape_.side * shape_.side; }
  Sample sample(Split split, Index index) const override;
  std::vector<Baseline> baselines() const override;
  std::string describe(const Sample& sample) const override;

 protected:
  const PathfinderShape& shape() const { return shape_; }

 private:
  PathfinderShape shape_;
};

struct PathfinderChoice {
  std::string task;  // for messages
  Index side = 0;
  PathfinderDifficulty difficulty = PathfinderDifficulty::kHard;
};

/// Which data a task of this kind has: data, examples, data_seed, partial.
std::vector<OptionSpec> pathfinder_data_options();
/// Generated images or those of the official release, as the options above say.
std::unique_ptr<Task> make_pathfinder(const PathfinderChoice& choice, const TaskSetup& setup,
                                      const Options& options);

}  // namespace arena
