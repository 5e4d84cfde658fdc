#pragma once
// Draws Pathfinder images: two long dashed contours among shorter ones, and two discs at ends of
// the long ones. The algorithm is that of the generator behind Long Range Arena's data (Linsley et
// al., "Learning long-range spatial dependencies with horizontal gated recurrent units", 2018).

#include "tasks/pathfinder/growth.hpp"

namespace arena {

/// Everything of an image but its discs.
struct PathfinderScene {
  Canvas targets, distractors;                   // lines, not yet of their contrasts
  std::array<std::array<PixelAt, 2>, 2> ends{};  // of each target: where it began, where it ended
  Index attempts = 0;                            // pairs of targets that were tried
  Index num_distractors = 0;                     // that found room
};

class PathfinderGenerator {
 public:
  explicit PathfinderGenerator(const PathfinderShape& shape);

  const PathfinderShape& shape() const { return shape_; }
  PathfinderScene draw(RandomStream& stream) const;

  /// The four images of a scene [side, side]: one disc where target `from` began, the other at the
  /// last end of the same target (label 1) or of the other one (label 0).
  std::vector<std::uint8_t> render(const PathfinderScene& scene, Index label, Index from) const;

 private:
  void add_marker(std::vector<double>& image, PixelAt centre) const;

  PathfinderShape shape_;
  MarkerPen marker_;
  std::vector<Brush> brushes_{};  // one for each margin
};

}  // namespace arena
