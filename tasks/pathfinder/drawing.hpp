#pragma once
// Pathfinder's strokes and discs as 8-bit patches: drawn large, then shrunk, to the byte as the
// imaging libraries behind the public generator do it.

#include "tasks/pathfinder/byte_image.hpp"
#include "tasks/pathfinder/lanczos.hpp"
#include "tasks/pathfinder/shape.hpp"

namespace arena {

/// Where `distance` from `from` in direction (sine, cosine) ends, rounded up.
PixelAt ahead(PixelAt from, double sine, double cosine, double distance);

/// A stroke and the place that it claims, both [2 reach + 1, 2 reach + 1] around its start.
struct PaddlePatch {
  ByteImage line{};
  ByteImage mask{};
};

Index paddle_reach(const PathfinderShape& shape, Index margin);
/// Where a paddle in this direction ends on the large patch: all that its patches depend on.
PixelAt large_end(const PathfinderShape& shape, Index margin, double sine, double cosine);
PaddlePatch draw_paddle(const PathfinderShape& shape, Index margin, PixelAt large_end);

/// Draws discs on images of `side` pixels.
class MarkerPen {
 public:
  MarkerPen(double radius, Index side);

  /// The patch [2 reach + 1, 2 reach + 1] around a disc's centre; beyond it a disc is 0.
  Index reach() const { return reach_; }
  ByteImage draw(PixelAt centre) const;

 private:
  double radius_;
  Index side_, extent_, reach_;
  LanczosAxis axis_;
};

}  // namespace arena
