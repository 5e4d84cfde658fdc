#pragma once
// What the growth of contours with one margin looks up: directions, patches, kernels, turns. All of
// it depends on few angles, so it is computed once.

#include <span>

#include "tasks/pathfinder/drawing.hpp"

namespace arena {

/// An angle in radians and the patches of a paddle that starts at its place in this direction.
struct Direction {
  double angle = 0, sine = 0, cosine = 0;
  Index patch = 0;
};

class Brush {
 public:
  static constexpr Index kSeedAngles = 360;  // whole degrees

  Brush(const PathfinderShape& shape, Index margin);

  Index margin() const { return margin_; }
  Index reach() const { return reach_; }
  const PaddlePatch& patch(Index index) const { return patches_[static_cast<std::size_t>(index)]; }

  /// Directions of first paddles are 0 .. kSeedAngles - 1, in whole degrees from -180 on; then
  /// come those from the middle of the ring to its pixels.
  const Direction& direction(Index index) const {
    return directions_[static_cast<std::size_t>(index)];
  }
  /// Where a paddle with this seed angle would touch others, as steps from its start; empty for the
  /// angles that are never used.
  std::span<const PixelAt> kernel(Index seed_angle) const {
    return kernels_[static_cast<std::size_t>(seed_angle)];
  }

  /// Pixels on a circle of paddle length and margin, as steps from its middle.
  std::span<const PixelAt> ring() const { return ring_; }
  static constexpr Index ring_direction(Index i) { return kSeedAngles + i; }
  /// The patch of a paddle that comes in from ring pixel i towards the middle.
  Index inward_patch(Index i) const { return inward_[static_cast<std::size_t>(i)]; }
  /// How readily a contour goes on from a direction to each ring pixel: 1 straight on, 0 never.
  std::span<const float> turns(Index direction) const {
    return std::span(turns_).subspan(static_cast<std::size_t>(direction) * ring_.size(),
                                     ring_.size());
  }
  /// Steps to the pixels no further than the margin.
  std::span<const PixelAt> disc() const { return disc_; }

 private:
  Direction make_direction(double angle);
  Index find_patch(double sine, double cosine);
  std::vector<PixelAt> seed_kernel(const Direction& direction) const;
  void find_ring();
  void find_turns();

  PathfinderShape shape_;
  Index margin_, reach_;
  std::vector<PixelAt> ends_{};  // of the patches, on the large canvas
  std::vector<PaddlePatch> patches_{};
  std::vector<Direction> directions_{};
  std::vector<std::vector<PixelAt>> kernels_{};
  std::vector<PixelAt> ring_{}, disc_{};
  std::vector<Index> inward_{};
  std::vector<float> turns_{};  // [directions, ring]
};

/// The same angle backwards, in (-pi, pi].
double flipped(double angle);

}  // namespace arena
