#pragma once
// Pathfinder images made here: each is a function of (size, difficulty, data seed, split, index).

#include <functional>

#include "harness/core/team.hpp"
#include "tasks/pathfinder/generator.hpp"
#include "tasks/pathfinder/task.hpp"

namespace arena {

class GeneratedPathfinder final : public PathfinderTask {
 public:
  struct Extent {
    Index examples = 0;  // of all splits
    std::uint64_t data_seed = 0;
  };
  using Progress = std::function<void(Index done, Index total)>;

  /// Images are kept below `data_dir`, unless that is "".
  GeneratedPathfinder(const PathfinderChoice& choice, const std::string& data_dir,
                      const Extent& extent);

  Index size(Split split) const override {
    return extent_.examples * (split == Split::kTrain ? 8 : 1) / 10;
  }
  PathfinderImage image(Split split, Index index) const override;
  std::string dataset_hash() const override;

  /// Makes all images that are not in the cache yet, on all workers, and returns how many it made.
  /// Throws Error where they cannot be kept.
  Index fill_cache(const Team& team, const Progress& progress) const;

 private:
  const ImageCache* cache(Split split) const {
    return caches_[static_cast<std::size_t>(split)].get();
  }
  PathfinderImage make_image(Split split, Index index) const;

  PathfinderChoice choice_;
  Extent extent_;
  PathfinderGenerator generator_;
  std::array<std::unique_ptr<ImageCache>, 3> caches_{};
};

}  // namespace arena
