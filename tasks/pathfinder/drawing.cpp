#include "tasks/pathfinder/drawing.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace arena {
namespace {

constexpr std::uint8_t kInk = 255;
constexpr Index kAntialias = kPathfinderAntialias;
constexpr Index kFilterReach = 4;  // of the Lanczos filter, in small pixels: three lobes and a half

Index round_half_up(double v) {  // halves away from zero
  return static_cast<Index>(std::copysign(std::floor(std::abs(v) + 0.5), v));
}

Index round_half_down(double v) {  // halves towards zero
  return static_cast<Index>(std::copysign(std::ceil(std::abs(v) - 0.5), v));
}

/// One pixel wide (Bresenham); on a tie y is the axis that always steps.
void draw_thin_line(ByteImage& image, PixelAt from, PixelAt to) {
  const Index height = std::abs(to.y - from.y);
  const Index width = std::abs(to.x - from.x);
  const bool along_y = height >= width;
  const Index major = along_y ? height : width;
  const Index minor = along_y ? width : height;
  const Index step_y = to.y < from.y ? -1 : 1;
  const Index step_x = to.x < from.x ? -1 : 1;
  PixelAt p = from;
  Index error = 2 * minor - major;
  for (Index i = 0; i <= major; ++i) {
    image.row(p.y)[p.x] = kInk;
    if (error >= 0) {
      (along_y ? p.x : p.y) += along_y ? step_x : step_y;
      error -= 2 * major;
    }
    error += 2 * minor;
    (along_y ? p.y : p.x) += along_y ? step_y : step_x;
  }
}

void fill_row(ByteImage& image, Index y, Index left, Index right) {
  for (Index x = left; x <= right; ++x) image.row(y)[x] = kInk;
}

using Corners = std::array<PixelAt, 4>;

/// Scan lines between the edges of a polygon; an edge's lower end counts twice (it closes one span
/// and opens the next) but on the last line.
void fill_polygon(ByteImage& image, const Corners& corners) {
  const auto [top, bottom] = std::ranges::minmax(corners, {}, &PixelAt::y);
  for (Index y = top.y; y <= bottom.y; ++y) {
    std::vector<float> crossings;
    for (std::size_t i = 0; i < corners.size(); ++i) {
      const PixelAt a = corners[i];
      const PixelAt b = corners[(i + 1) % corners.size()];
      if (a.y == b.y) {
        if (a.y == y) fill_row(image, y, std::min(a.x, b.x), std::max(a.x, b.x));
        continue;
      }
      if (y < std::min(a.y, b.y) || y > std::max(a.y, b.y)) continue;
      const float slope = static_cast<float>(b.x - a.x) / static_cast<float>(b.y - a.y);
      const float x = static_cast<float>(y - a.y) * slope + static_cast<float>(a.x);
      const bool twice = y == std::max(a.y, b.y) && y != bottom.y;
      crossings.insert(crossings.end(), twice ? 2 : 1, x);
    }
    std::ranges::sort(crossings);
    for (std::size_t i = 0; i + 1 < crossings.size(); i += 2) {
      fill_row(image, y, round_half_up(static_cast<double>(crossings[i])),
               round_half_down(static_cast<double>(crossings[i + 1])));
    }
  }
}

void draw_wide_line(ByteImage& image, PixelAt from, PixelAt to, Index width) {
  const auto dx = static_cast<double>(to.x - from.x);
  const auto dy = static_cast<double>(to.y - from.y);
  const double half = static_cast<double>(width - 1) / 2;
  const double wide = static_cast<double>(round_half_up(half)) / std::hypot(dx, dy);
  const double narrow = static_cast<double>(round_half_down(half)) / std::hypot(dx, dy);
  const Index x1 = round_half_down(narrow * dy);
  const Index x2 = round_half_down(wide * dy);
  const Index y1 = round_half_down(narrow * dx);
  const Index y2 = round_half_down(wide * dx);
  fill_polygon(image, {{{from.y + y2, from.x - x1},
                        {to.y + y2, to.x - x1},
                        {to.y - y1, to.x + x2},
                        {from.y - y1, from.x + x2}}});
}

ByteImage dilate(const ByteImage& image, Index radius) {
  ByteImage result(image.rows(), image.cols());
  for (Index y = 0; y < image.rows(); ++y) {
    for (Index x = 0; x < image.cols(); ++x) {
      if (image.at({y, x}) == 0) continue;
      for (Index dy = -radius; dy <= radius; ++dy) {
        for (Index dx = -radius; dx <= radius; ++dx) {
          const PixelAt p{y + dy, x + dx};
          if (dy * dy + dx * dx <= radius * radius && result.contains(p)) {
            result.row(p.y)[p.x] = kInk;
          }
        }
      }
    }
  }
  return result;
}

ByteImage shrink(const ByteImage& image, Index side) {
  const LanczosAxis axis(image.cols(), side);
  return axis.shrink_rows(axis.shrink_rows(image, 0, 0, side), 0, 0, side);
}

}  // namespace

PixelAt ahead(PixelAt from, double sine, double cosine, double distance) {
  return {static_cast<Index>(std::ceil(static_cast<double>(from.y) + distance * sine)),
          static_cast<Index>(std::ceil(static_cast<double>(from.x) + distance * cosine))};
}

Index paddle_reach(const PathfinderShape& shape, Index margin) {
  return shape.paddle_length + static_cast<Index>(std::ceil(shape.thickness)) + margin;
}

PixelAt large_end(const PathfinderShape& shape, Index margin, double sine, double cosine) {
  const Index middle = paddle_reach(shape, margin) * kAntialias;
  return ahead({middle, middle}, sine, cosine,
               static_cast<double>(shape.paddle_length * kAntialias));
}

PaddlePatch draw_paddle(const PathfinderShape& shape, Index margin, PixelAt large_end) {
  const Index reach = paddle_reach(shape, margin);
  const PixelAt middle{reach * kAntialias, reach * kAntialias};
  ByteImage large(2 * middle.y + 1, 2 * middle.x + 1);
  const auto width = static_cast<Index>(shape.thickness * kAntialias);
  if (width == 1) {
    draw_thin_line(large, middle, large_end);
  } else {
    draw_wide_line(large, middle, large_end, width);
  }
  const Index side = 2 * reach + 1;
  return {shrink(large, side), shrink(dilate(large, margin * kAntialias), side)};
}

MarkerPen::MarkerPen(double radius, Index side)
    : radius_(radius * kAntialias),
      side_(side),
      extent_(static_cast<Index>(std::ceil(radius_))),
      reach_((extent_ + 1) / kAntialias + kFilterReach),
      axis_(kAntialias * side, side) {}

ByteImage MarkerPen::draw(PixelAt centre) const {
  const auto covered = [&](Index at, Index offset) {
    return at * kAntialias + offset >= 0 && at * kAntialias + offset < kAntialias * side_;
  };
  ByteImage disc(2 * extent_ + 1, 2 * extent_ + 1);
  for (Index y = -extent_; y <= extent_; ++y) {
    for (Index x = -extent_; x <= extent_; ++x) {
      const bool inside = static_cast<double>(y * y + x * x) <= radius_ * radius_;
      if (inside && covered(centre.y, y) && covered(centre.x, x)) {
        disc.row(y + extent_)[x + extent_] = kInk;
      }
    }
  }
  const PixelAt first{std::max(Index{0}, centre.y - reach_), std::max(Index{0}, centre.x - reach_)};
  const PixelAt end{std::min(side_, centre.y + reach_ + 1), std::min(side_, centre.x + reach_ + 1)};
  const ByteImage narrow =
      axis_.shrink_rows(disc, kAntialias * centre.x - extent_, first.x, end.x - first.x);
  const ByteImage small =
      axis_.shrink_rows(narrow, kAntialias * centre.y - extent_, first.y, end.y - first.y);
  ByteImage patch(2 * reach_ + 1, 2 * reach_ + 1);
  for (Index y = 0; y < small.rows(); ++y) {
    std::copy_n(small.row(y), small.cols(),
                patch.row(first.y + y - centre.y + reach_) + first.x - centre.x + reach_);
  }
  return patch;
}

}  // namespace arena
