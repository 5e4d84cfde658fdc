#include "tasks/pathfinder/task.hpp"

#include <algorithm>

#include "tasks/format/labelled_set.hpp"
#include "tasks/pathfinder/generated.hpp"
#include "tasks/pathfinder/markers.hpp"
#include "tasks/pathfinder/official.hpp"

namespace arena {
namespace {

constexpr Index kExamples = 200'000;        // of Long Range Arena's data sets
constexpr Index kFewestExamples = 100;      // so that all splits have both labels
constexpr Index kShortcutExamples = 4'000;  // training samples that a shortcut learns from

/// Guesses the label from one number: at most `threshold`, or more.
struct Threshold {
  double threshold = 0;
  std::int32_t at_most = 0;  // the label guessed up to the threshold
  bool right(double value, std::int32_t label) const {
    return (value <= threshold ? at_most : 1 - at_most) == label;
  }
};

using Measured = std::vector<std::pair<double, std::int32_t>>;  // value, label

/// The threshold that is right most often.
Threshold best_threshold(Measured examples) {
  std::ranges::sort(examples);
  const Index ones = std::ranges::count(examples, 1, &Measured::value_type::second);
  const auto count = static_cast<Index>(examples.size());
  Threshold best{.threshold = -1, .at_most = ones * 2 > count ? 0 : 1};
  Index most_right = std::max(ones, count - ones);
  Index ones_below = 0;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    ones_below += examples[i].second;
    if (i + 1 < examples.size() && examples[i + 1].first == examples[i].first) continue;
    const Index right = ones_below + (count - static_cast<Index>(i) - 1) - (ones - ones_below);
    for (const std::int32_t label : {0, 1}) {
      const Index score = label == 1 ? right : count - right;
      if (score <= most_right) continue;
      most_right = score;
      best = {examples[i].first, label};
    }
  }
  return best;
}

}  // namespace

Sample PathfinderTask::sample(Split split, Index index) const {
  const PathfinderImage found = image(split, index);
  return {.tokens = {found.pixels.begin(), found.pixels.end()},
          .labels = {found.label},
          .grid = {shape_.side, shape_.side}};
}

/// The best constant, and the best threshold on the distance between the two discs.
std::vector<Baseline> PathfinderTask::baselines() const {
  const auto measure = [&](Split split, Index count) {
    Measured examples;
    for (Index i = 0; i < count; ++i) {
      const PathfinderImage found = image(split, i);
      examples.emplace_back(marker_distance(found.pixels, shape_), found.label);
    }
    return examples;
  };
  const Threshold threshold =
      best_threshold(measure(Split::kTrain, std::min(kShortcutExamples, size(Split::kTrain))));
  const Measured test = measure(Split::kTest, size(Split::kTest));
  Index ones = 0;
  Index right = 0;
  for (const auto& [distance, label] : test) {
    ones += label;
    right += threshold.right(distance, label) ? 1 : 0;
  }
  const auto share = [&](Index count) {
    return static_cast<double>(count) / static_cast<double>(test.size());
  };
  return {{"majority", std::max(share(ones), 1 - share(ones))}, {"marker distance", share(right)}};
}

/// In 32 x 32 parts, each lit where its brightest pixel is; a character is two parts.
std::string PathfinderTask::describe(const Sample& sample) const {
  constexpr Index kParts = 32;
  constexpr std::int32_t kLit = 64;
  constexpr std::array kBlocks = {" ", "▀", "▄", "█"};
  const Index pixels = shape_.side / kParts;
  const auto lit = [&](Index row, Index col) -> std::size_t {
    std::int32_t brightest = 0;
    for (Index y = row * pixels; y < (row + 1) * pixels; ++y) {
      for (Index x = col * pixels; x < (col + 1) * pixels; ++x) {
        brightest =
            std::max(brightest, sample.tokens[static_cast<std::size_t>(y * shape_.side + x)]);
      }
    }
    return brightest >= kLit ? 1 : 0;
  };
  std::string text;
  for (Index row = 0; row < kParts; row += 2) {
    for (Index col = 0; col < kParts; ++col) {
      text += kBlocks[lit(row, col) + 2 * lit(row + 1, col)];
    }
    text += '\n';
  }
  return text + (sample.labels.front() == 1 ? "1: both discs on one contour"
                                            : "0: the discs on different contours");
}

std::vector<OptionSpec> pathfinder_data_options() {
  return {choice_option("data", "generated", {"generated", "official"},
                        "made here, or the files of Long Range Arena's release"),
          integer_option("examples", kExamples, kFewestExamples, kExamples,
                         "generated: of all splits, 8/10 train, 1/10 validation, 1/10 test"),
          integer_option("data_seed", 0, 0, 1 << 30, "generated: which data set"),
          partial_option()};
}

std::unique_ptr<Task> make_pathfinder(const PathfinderChoice& choice, const TaskSetup& setup,
                                      const Options& options) {
  const GeneratedPathfinder::Extent extent{
      options.integer("examples"), static_cast<std::uint64_t>(options.integer("data_seed"))};
  const bool partial = options.on("partial");
  if (options.text("data") == "generated") {
    check(!partial, "{}: partial=true is for data=official; examples=N makes fewer", choice.task);
    return std::make_unique<GeneratedPathfinder>(choice, setup.data_dir, extent);
  }
  check(extent.examples == kExamples && extent.data_seed == 0,
        "{}: examples and data_seed are for data=generated", choice.task);
  return std::make_unique<OfficialPathfinder>(choice, setup.data_dir, partial);
}

}  // namespace arena
