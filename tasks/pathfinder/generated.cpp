#include "tasks/pathfinder/generated.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "harness/core/hash.hpp"

namespace arena {
namespace {

constexpr int kVersion = 1;              // of the images; another generator needs another one
constexpr Index kMaxScenes = 1'000'000;  // drawn for one image
constexpr Index kImagesPerStep = 1'000;  // between two reports of progress
constexpr std::array kSplits = {Split::kTrain, Split::kValidation, Split::kTest};
constexpr std::array kSplitNames = {"train", "validation", "test"};
constexpr std::array kDifficultyNames = {"easy", "inter", "hard"};

std::string text_of(const PathfinderChoice& choice, std::uint64_t data_seed) {
  return fmt::format("pathfinder-{}-{}-{}-{}", kVersion, choice.side,
                     kDifficultyNames[static_cast<std::size_t>(choice.difficulty)], data_seed);
}

}  // namespace

GeneratedPathfinder::GeneratedPathfinder(const PathfinderChoice& choice,
                                         const std::string& data_dir, const Extent& extent)
    : PathfinderTask(pathfinder_shape(choice.side, choice.difficulty)),
      choice_(choice),
      extent_(extent),
      generator_(shape()) {
  if (data_dir.empty()) return;
  const std::string name = text_of(choice_, extent_.data_seed);
  for (const Split split : kSplits) {
    const auto i = static_cast<std::size_t>(split);
    const std::string file = fmt::format("{}-{}", name, kSplitNames[i]);
    caches_[i] = std::make_unique<ImageCache>(fmt::format("{}/generated/{}.images", data_dir, file),
                                              fnv1a(file), max_len());
  }
}

std::string GeneratedPathfinder::dataset_hash() const {
  return fmt::format("{:016x}", fnv1a(fmt::format("{} {}", text_of(choice_, extent_.data_seed),
                                                  extent_.examples)));
}

PathfinderImage GeneratedPathfinder::image(Split split, Index index) const {
  if (cache(split) == nullptr) return make_image(split, index);
  if (auto kept = cache(split)->load(index)) return std::move(*kept);
  PathfinderImage image = make_image(split, index);
  cache(split)->store(index, image);  // if it cannot be kept, it is made again
  return image;
}

/// A scene gives four images: discs at the ends of one contour or of both, from either. They are
/// tried in random order until one falls into the split, so each scene has the same chance, and
/// only one in ten images has to be made for the test split's sake.
PathfinderImage GeneratedPathfinder::make_image(Split split, Index index) const {
  RandomStream stream(RandomKey(extent_.data_seed)
                          .fold(Purpose::kData)
                          .fold(static_cast<std::uint64_t>(split))
                          .fold(static_cast<std::uint64_t>(index)));
  for (Index i = 0; i < kMaxScenes; ++i) {
    const PathfinderScene scene = generator_.draw(stream);
    const Index first = stream.below(4);
    for (Index k = 0; k < 4; ++k) {
      const Index label = (first ^ k) & 1;
      std::vector<std::uint8_t> pixels = generator_.render(scene, label, (first ^ k) >> 1);
      if (split_of_hash(fnv1a(std::span<const std::uint8_t>(pixels))) != split) continue;
      return {.pixels = std::move(pixels), .label = static_cast<std::int32_t>(label)};
    }
  }
  fail("{}: none of {} images belongs to split {}", choice_.task, 4 * kMaxScenes,
       kSplitNames[static_cast<std::size_t>(split)]);
}

Index GeneratedPathfinder::fill_cache(const Team& team, const Progress& progress) const {
  std::atomic<Index> made = 0;
  Index done = 0;
  for (const Split split : kSplits) {
    const ImageCache* const images = cache(split);
    check(images != nullptr, "{}: no data folder to keep images in", choice_.task);
    for (Index first = 0; first < size(split); first += kImagesPerStep) {
      const Index count = std::min(kImagesPerStep, size(split) - first);
      team.for_each(count, [&](Index i, const Team&) {
        if (images->load(first + i)) return;
        check(images->store(first + i, make_image(split, first + i)), "cannot write '{}': {}",
              images->path(), std::strerror(errno));
        ++made;
      });
      done += count;
      progress(done, size(Split::kTrain) + size(Split::kValidation) + size(Split::kTest));
    }
    check(images->sync(), "cannot write '{}': {}", images->path(), std::strerror(errno));
  }
  return made;
}

}  // namespace arena
