#pragma once
// How a dashed contour grows: a first paddle where there is room, then one after another, each in
// nearly the direction of the one before.

#include <optional>

#include "tasks/pathfinder/brush.hpp"
#include "tasks/pathfinder/canvas.hpp"

namespace arena {

struct Contour {
  PixelAt tail{}, tip{};  // the two ends
  PixelAt pivot{};        // from which the newest paddle is aimed
  Index direction = 0;    // of the newest paddle, in its brush
  Index patch = 0;        // of the newest paddle, which is not in the mask yet
  PixelAt patch_centre{};
};

/// Contours of one image, and the mask of what they leave to one another.
class Growth {
 public:
  Growth(const PathfinderShape& shape, const Brush& brush, RandomStream& stream)
      : shape_(shape), brush_(brush), stream_(stream), padding_(shape.side), mask_(shape.side) {
    padding_.frame(shape.padding);
  }

  /// Two contours that begin near one another and grow side by side, or nullopt.
  std::optional<std::array<Contour, 2>> try_targets(Canvas& lines);
  /// One contour where the mask leaves room for it; false where it found none.
  bool try_distractor(Canvas& lines);

 private:
  std::optional<Contour> first_paddle(Index border);
  std::optional<Contour> first_paddle_beside(PixelAt tail);
  std::optional<Contour> contour_at(PixelAt tail, Index seed_angle) const;
  bool extend(Contour& contour, Canvas& lines);
  bool weigh_ring(const Contour& contour, PixelAt middle);
  Index draw_ring();
  void take_place(const Contour& contour);
  const PaddlePatch& newest(const Contour& contour) const { return brush_.patch(contour.patch); }

  const PathfinderShape& shape_;
  const Brush& brush_;
  RandomStream& stream_;
  Canvas padding_;  // the mask before there is anything
  Canvas mask_;
  std::vector<float> up_to_{};  // sums of the ring's weights
};

}  // namespace arena
