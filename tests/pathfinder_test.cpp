// The task pathfinder on generated images: splits, labels, the disc baseline, the cache on disk.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "expect_error.hpp"
#include "harness/core/hash.hpp"
#include "tasks/pathfinder/generated.hpp"
#include "tasks/pathfinder/markers.hpp"
#include "temporary_folder.hpp"

namespace arena {
namespace {

constexpr double kStandardErrors = 4;
constexpr std::array kSplits = {Split::kTrain, Split::kValidation, Split::kTest};

std::unique_ptr<Task> make_pathfinder_task(const OptionTexts& options,
                                           const std::string& data_dir = "") {
  const TaskInfo& info = Registry<TaskInfo>::find("pathfinder");
  return info.make({.data_dir = data_dir}, Options("pathfinder", info.options, options));
}

GeneratedPathfinder easy(const std::string& data_dir, Index examples, std::uint64_t seed = 0) {
  return GeneratedPathfinder(
      {.task = "pathfinder", .side = 32, .difficulty = PathfinderDifficulty::kEasy}, data_dir,
      {.examples = examples, .data_seed = seed});
}

TEST(Pathfinder, SizesAreThoseOfTheArena) {
  const auto task = make_pathfinder_task({});
  EXPECT_EQ(task->size(Split::kTrain), 160'000);
  EXPECT_EQ(task->size(Split::kValidation), 20'000);
  EXPECT_EQ(task->size(Split::kTest), 20'000);
  EXPECT_EQ(task->max_len(), 1024);
  EXPECT_EQ(make_pathfinder_task({{"size", "256"}})->max_len(), 65'536);
  const TaskInfo& pathx = Registry<TaskInfo>::find("pathx");
  EXPECT_EQ(pathx.make({}, Options("pathx", pathx.options, {}))->max_len(), 16'384);
}

TEST(Pathfinder, PathXIsSize128Hard) {
  const TaskInfo& info = Registry<TaskInfo>::find("pathx");
  const auto pathx = info.make({}, Options("pathx", info.options, {}));
  const auto hard = make_pathfinder_task({{"size", "128"}, {"difficulty", "hard"}});
  EXPECT_EQ(pathx->sample(Split::kTrain, 3).tokens, hard->sample(Split::kTrain, 3).tokens);
  EXPECT_EQ(pathx->dataset_hash(), hard->dataset_hash());
}

TEST(Pathfinder, TablesNeverShowGeneratedImagesUnderTheNameOfTheRelease) {
  for (const std::string& name : {std::string("pathfinder"), std::string("pathx")}) {
    EXPECT_EQ(Registry<TaskInfo>::find(name).label_option, "data");
  }
}

TEST(Pathfinder, EveryChoiceIsInTheHash) {
  const std::vector<OptionTexts> choices = {
      {}, {{"size", "64"}}, {{"difficulty", "easy"}}, {{"data_seed", "1"}}, {{"examples", "1000"}}};
  std::set<std::string> hashes;
  for (const auto& options : choices) hashes.insert(make_pathfinder_task(options)->dataset_hash());
  EXPECT_EQ(hashes.size(), choices.size());
  EXPECT_ERROR(make_pathfinder_task({{"partial", "true"}}), "partial=true is for data=official");
}

TEST(Pathfinder, EverySplitHasItsOwnImagesAndEvenLabels) {
  const GeneratedPathfinder task = easy("", 200'000);
  constexpr Index kCount = 3000;
  for (const Split split : kSplits) {
    double ones = 0;
    double lit = 0;
    for (Index i = 0; i < kCount; ++i) {
      const PathfinderImage image = task.image(split, i);
      const std::span<const std::uint8_t> pixels(image.pixels);
      ASSERT_EQ(split_of_hash(fnv1a(pixels)), split);
      ASSERT_EQ(std::ranges::max(image.pixels), 255);
      ones += image.label;
      lit += static_cast<double>(1024 - std::ranges::count(image.pixels, 0)) / 1024;
    }
    EXPECT_NEAR(ones / kCount, 0.5, kStandardErrors * 0.5 / std::sqrt(kCount));
    // Which split an image is for changes nothing else about it.
    EXPECT_NEAR(lit / kCount, .2281, kStandardErrors * .045 / std::sqrt(kCount));
  }
}

TEST(Pathfinder, DiscsAreFoundInNearlyAllImages) {
  for (const Index side : {Index{32}, Index{64}, Index{128}}) {
    const PathfinderGenerator generator(pathfinder_shape(side, PathfinderDifficulty::kEasy));
    Index near = 0;
    constexpr Index kCount = 200;
    for (Index i = 0; i < kCount; ++i) {
      RandomStream stream(RandomKey(0).fold(static_cast<std::uint64_t>(i)));
      const PathfinderScene scene = generator.draw(stream);
      const double found = marker_distance(generator.render(scene, 1, 0), generator.shape());
      const auto [begin, end] = scene.ends[0];
      const double expected =
          std::hypot(static_cast<double>(begin.y - end.y), static_cast<double>(begin.x - end.x));
      near += std::abs(found - expected) <= 1.5 ? 1 : 0;
    }
    EXPECT_GE(near, kCount * 95 / 100) << side;
  }
}

/// .563 of 20,000 images was measured with a threshold chosen on those images.
TEST(Pathfinder, DistanceBetweenDiscsIsTheKnownShortcut) {
  const GeneratedPathfinder task = easy("", 40'000);
  const std::vector<Baseline> baselines = task.baselines();
  ASSERT_EQ(baselines.size(), 2U);
  EXPECT_EQ(baselines[0].name, "majority");
  EXPECT_EQ(baselines[1].name, "marker distance");
  const double error = std::sqrt(.25 / 4000 + .25 / 20'000);
  EXPECT_NEAR(baselines[1].accuracy, .563, kStandardErrors * error);
}

TEST(PathfinderCache, ImagesComeFromDiskThatWereMadeOnce) {
  const TemporaryFolder folder;
  constexpr Index kExamples = 100;
  Workers workers(2);
  const GeneratedPathfinder task = easy(folder.path(), kExamples);
  static_cast<void>(task.image(Split::kTest, 4));
  std::vector<Index> seen;
  const auto progress = [&](Index done, Index total) {
    EXPECT_EQ(total, kExamples);
    seen.push_back(done);
  };
  EXPECT_EQ(task.fill_cache(workers.team(), progress), kExamples - 1);
  EXPECT_EQ(seen, (std::vector<Index>{80, 90, 100}));
  EXPECT_EQ(easy(folder.path(), kExamples).fill_cache(workers.team(), progress), 0);
  const GeneratedPathfinder fresh = easy("", kExamples);
  const GeneratedPathfinder again = easy(folder.path(), kExamples);
  for (const Split split : kSplits) {
    for (Index i = 0; i < task.size(split); ++i) {
      ASSERT_EQ(again.image(split, i).pixels, fresh.image(split, i).pixels);
      ASSERT_EQ(again.image(split, i).label, fresh.image(split, i).label);
    }
  }
}

std::string only_file_of(const std::string& folder) {
  std::string path;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(path, "");
    path = entry.path();
  }
  return path;
}

TEST(PathfinderCache, DamagedSlotsAreMadeAgain) {
  const TemporaryFolder folder;
  const PathfinderImage good = easy("", 100).image(Split::kTrain, 2);
  static_cast<void>(easy(folder.path(), 100).image(Split::kTrain, 2));
  const std::string path = only_file_of(folder.path());
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path));
  constexpr std::streamoff kSlot = 8 + 1 + 1024;
  ASSERT_EQ(size, 3 * kSlot);
  for (std::streamoff at = size - kSlot; at < size; at += 11) {
    {
      std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
      file.seekp(at);
      file.put('\x5a');
    }
    const PathfinderImage image = easy(folder.path(), 100).image(Split::kTrain, 2);
    ASSERT_EQ(image.pixels, good.pixels) << at;
    ASSERT_EQ(image.label, good.label) << at;
  }
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(size - 1));
  EXPECT_EQ(easy(folder.path(), 100).image(Split::kTrain, 2).pixels, good.pixels);
}

TEST(PathfinderCache, SlotsOfOtherImagesDoNotFit) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/images";
  const PathfinderImage image{.pixels = {1, 2, 3, 4}, .label = 1};
  EXPECT_TRUE(ImageCache(path, 7, 4).store(5, image));
  EXPECT_EQ(ImageCache(path, 7, 4).load(5)->pixels, image.pixels);
  EXPECT_EQ(ImageCache(path, 7, 4).load(5)->label, 1);
  EXPECT_FALSE(ImageCache(path, 8, 4).load(5).has_value());
  EXPECT_FALSE(ImageCache(path, 7, 4).load(4).has_value());
  EXPECT_FALSE(ImageCache(path, 7, 4).load(6).has_value());
}

TEST(PathfinderCache, WhereNothingCanBeKeptImagesAreStillMade) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/generated") << "in the way";
  const GeneratedPathfinder task = easy(folder.path(), 100);
  EXPECT_EQ(task.image(Split::kTest, 1).pixels, easy("", 100).image(Split::kTest, 1).pixels);
  Workers workers(1);
  EXPECT_ERROR(
      task.fill_cache(workers.team(), [](Index, Index) {}),
      "cannot write '" + folder.path() + "/generated/pathfinder-1-32-easy-0-train.images'");
  EXPECT_ERROR(easy("", 100).fill_cache(workers.team(), [](Index, Index) {}), "no data folder");
}

TEST(Pathfinder, DescribesAnImage) {
  const auto task = make_pathfinder_task({{"size", "64"}});
  Sample sample{.tokens = std::vector<std::int32_t>(64 * 64), .labels = {1}};
  sample.tokens[0] = 255;            // part 0, 0
  sample.tokens[64 * 2 + 3] = 100;   // part 1, 1
  sample.tokens[64 * 63 + 63] = 20;  // too dark
  const std::string text = task->describe(sample);
  EXPECT_TRUE(text.starts_with("▀▄ ")) << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 16);
  EXPECT_TRUE(text.ends_with("1: both discs on one contour"));
}

}  // namespace
}  // namespace arena
