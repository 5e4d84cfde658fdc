#include "tasks/pathfinder/markers.hpp"

#include <algorithm>
#include <cmath>

namespace arena {
namespace {

std::vector<PixelAt> disc_steps(double radius) {
  const auto extent = static_cast<Index>(radius);
  std::vector<PixelAt> steps;
  for (Index y = -extent; y <= extent; ++y) {
    for (Index x = -extent; x <= extent; ++x) {
      if (static_cast<double>(y * y + x * x) <= radius * radius) steps.push_back({y, x});
    }
  }
  return steps;
}

double distance(PixelAt a, PixelAt b) {
  return std::hypot(static_cast<double>(a.y - b.y), static_cast<double>(a.x - b.x));
}

/// How bright a disc around a pixel is where it is darkest, then altogether.
struct Brightness {
  int darkest = 1;
  int sum = 0;
  bool operator>(const Brightness& other) const {
    return darkest != other.darkest ? darkest > other.darkest : sum > other.sum;
  }
};

class DiscFinder {
 public:
  DiscFinder(std::span<const std::uint8_t> image, const PathfinderShape& shape)
      : image_(image), shape_(shape), steps_(disc_steps(shape.marker_radius)) {}

  /// The brightest disc among those whose centre is accepted.
  template <class Accept>
  PixelAt brightest(const Accept& accept) const {
    PixelAt place;
    Brightness best;  // than which black is darker
    for (Index y = 0; y < shape_.side; ++y) {
      for (Index x = 0; x < shape_.side; ++x) {
        if (byte_at({y, x}) < best.darkest || !accept(PixelAt{y, x})) continue;
        const Brightness found = brightness({y, x}, best.darkest);
        if (!(found > best)) continue;
        best = found;
        place = {y, x};
      }
    }
    return place;
  }

 private:
  int byte_at(PixelAt p) const { return image_[static_cast<std::size_t>(p.y * shape_.side + p.x)]; }

  /// Stops early where a pixel is darker than `enough`; what is beyond the image counts as bright.
  Brightness brightness(PixelAt centre, int enough) const {
    Brightness found{.darkest = 255};
    for (const PixelAt step : steps_) {
      const PixelAt p{centre.y + step.y, centre.x + step.x};
      if (p.y < 0 || p.y >= shape_.side || p.x < 0 || p.x >= shape_.side) continue;
      found.darkest = std::min(found.darkest, byte_at(p));
      found.sum += byte_at(p);
      if (found.darkest < enough) break;
    }
    return found;
  }

  std::span<const std::uint8_t> image_;
  const PathfinderShape& shape_;
  std::vector<PixelAt> steps_;
};

}  // namespace

std::array<PixelAt, 2> find_markers(std::span<const std::uint8_t> image,
                                    const PathfinderShape& shape) {
  const DiscFinder finder(image, shape);
  const PixelAt one = finder.brightest([](PixelAt) { return true; });
  const PixelAt other =
      finder.brightest([&](PixelAt p) { return distance(p, one) > 2 * shape.marker_radius; });
  return {std::min(one, other), std::max(one, other)};
}

double marker_distance(std::span<const std::uint8_t> image, const PathfinderShape& shape) {
  const auto [first, second] = find_markers(image, shape);
  return distance(first, second);
}

}  // namespace arena
