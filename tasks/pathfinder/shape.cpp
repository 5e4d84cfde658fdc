#include "tasks/pathfinder/shape.hpp"

#include <array>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr std::array<Index, 1> kMargin1 = {1};
constexpr std::array<Index, 2> kMargin2Or3 = {2, 3};
constexpr std::array<Index, 1> kMargin3 = {3};

struct SizeSettings {
  Index side, padding;
  std::span<const Index> margins;
  Index seed_distance;
  double marker_radius;
  Index paddle_length;
  double thickness, continuity, snake_contrast, paddle_contrast;
  Index distractor_budget;  // paddles of all distractors together
};

constexpr std::array<SizeSettings, 4> kSizes = {{
    {32, 1, kMargin1, 7, 1.5, 2, 0.5, 1.0, 2.0, 0.75, 20},
    {64, 1, kMargin1, 12, 2.5, 5, 1.0, 1.8, 0.8, 1.0, 22},
    {128, 1, kMargin2Or3, 20, 3.0, 5, 1.5, 1.8, 0.9, 1.0, 35},
    {256, 22, kMargin3, 27, 5.0, 5, 2.0, 1.8, 1.0, 1.0, 30},
}};

constexpr std::array<Index, 3> kTargetPaddles = {6, 9, 14};
constexpr std::array<const char*, 3> kFolders = {"curv_baseline", "curv_contour_length_9",
                                                 "curv_contour_length_14"};

}  // namespace

PathfinderShape pathfinder_shape(Index side, PathfinderDifficulty difficulty) {
  for (const SizeSettings& s : kSizes) {
    if (s.side != side) continue;
    const Index paddles = kTargetPaddles[static_cast<std::size_t>(difficulty)];
    return {.side = side,
            .padding = s.padding,
            .margins = s.margins,
            .seed_distance = s.seed_distance,
            .marker_radius = s.marker_radius,
            .paddle_length = s.paddle_length,
            .thickness = s.thickness,
            .continuity = s.continuity,
            .target_contrast = s.paddle_contrast * s.snake_contrast,
            .distractor_contrast = s.snake_contrast,
            .target_paddles = paddles,
            .distractor_paddles = paddles / 3,
            .distractors = s.distractor_budget / (paddles / 3)};
  }
  fail("pathfinder: images have side 32, 64, 128 or 256, not {}", side);
}

std::string pathfinder_folder(PathfinderDifficulty difficulty) {
  return kFolders[static_cast<std::size_t>(difficulty)];
}

}  // namespace arena
