#pragma once
// Where the two discs of a Pathfinder image are, seen from its pixels alone.

#include <array>
#include <span>

#include "tasks/pathfinder/byte_image.hpp"
#include "tasks/pathfinder/shape.hpp"

namespace arena {

/// Centres of the two discs, in reading order, of an image [side, side]. Discs are the places that
/// are evenly bright in all directions; in one or two of a hundred images of size 32, a knot of
/// lines is brighter.
std::array<PixelAt, 2> find_markers(std::span<const std::uint8_t> image,
                                    const PathfinderShape& shape);

/// Of the two in pixels: what a reader who cannot follow a line knows.
double marker_distance(std::span<const std::uint8_t> image, const PathfinderShape& shape);

}  // namespace arena
