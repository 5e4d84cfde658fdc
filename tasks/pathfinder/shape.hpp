#pragma once
// The settings of Long Range Arena's twelve Pathfinder data sets.

#include <span>
#include <string>

#include "harness/core/matrix.hpp"

namespace arena {

enum class PathfinderDifficulty { kEasy, kIntermediate, kHard };

constexpr Index kPathfinderAntialias = 2;  // drawn so many times larger, then shrunk

/// Lengths in pixels. A paddle is one stroke of a dashed contour; its margin is the space around it
/// that other paddles keep free.
struct PathfinderShape {
  Index side = 0;                    // of the square image
  Index padding = 0;                 // border that target contours keep free
  std::span<const Index> margins{};  // an image has one of these
  Index seed_distance = 0;           // between the first paddles of the two targets
  double marker_radius = 0;
  Index paddle_length = 0;
  double thickness = 0;
  double continuity = 0;  // how much a turn costs: up to pi / (2 continuity) is possible
  double target_contrast = 0;
  double distractor_contrast = 0;
  Index target_paddles = 0;
  Index distractor_paddles = 0;
  Index distractors = 0;  // tried; those that find no room are left out
};

/// Throws Error unless `side` is 32, 64, 128 or 256.
PathfinderShape pathfinder_shape(Index side, PathfinderDifficulty difficulty);
/// The folder of the official release: "curv_contour_length_14".
std::string pathfinder_folder(PathfinderDifficulty difficulty);

}  // namespace arena
