#pragma once
// Where things are on the canvas of a figure, in pixels from its top left corner.

#include <vector>

#include "results/figure/figure.hpp"

namespace arena {

class Canvas {
 public:
  double width = 0, height = 0;
  double left = 0, right = 0, top = 0, bottom = 0;  // of the plot's area

  /// With room below for a key of all series.
  explicit Canvas(const Figure& figure);

  /// Where the sample of the key's entry of a series begins, and its middle.
  double key_x(std::size_t series) const;
  double key_y(std::size_t series) const;
  double x_of(const Axis& axis, double x) const;
  double y_of(const Axis& axis, double y) const;

  static constexpr double kKeyRow = 24, kKeySample = 34;  // height of an entry, width of its line

 private:
  std::size_t key_columns_ = 1;
  double key_top_ = 0, key_step_ = 0;
};

/// Where the name of a mark stands beside it.
struct NamePlace {
  bool shown = false;
  double x = 0, y = 0;  // of the middle of its left end, or of its right end
  bool to_the_left = false;
};

/// One place per series for the name of its first mark, free of other names and marks; names for
/// which there is no such place are not shown.
std::vector<NamePlace> place_names(const Figure& figure, const Canvas& canvas);

/// Radius of a bubble in pixels.
double bubble_radius(const Mark& mark);

}  // namespace arena
