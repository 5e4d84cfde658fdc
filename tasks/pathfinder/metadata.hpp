#pragma once
// The metadata files of Pathfinder: what is on each image. Named .npy, they are either text, one
// line per image with blanks between fields (the release), or true NumPy arrays of strings (the
// generator that it was made with).

#include <string>
#include <string_view>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

struct PathfinderRow {
  std::string image;  // "imgs/0/sample_17.png"
  std::int32_t label = 0;
};

/// Rows of a whole file in either format, of images with contours of `contour_length` paddles.
/// Throws Error beginning with `where`, naming the row, on anything but eleven fields, a path that
/// is not FOLDER/FOLDER/FILE, a label that is not 0 or 1, or another contour length.
std::vector<PathfinderRow> parse_pathfinder_metadata(std::string_view file,
                                                     const std::string& where,
                                                     Index contour_length);

}  // namespace arena
