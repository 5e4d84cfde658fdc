#include "results/figure/canvas.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace arena {
namespace {

constexpr double kWidth = 600, kPlotHeight = 330;
constexpr double kLeft = 78, kRight = 30, kTop = 16, kBelow = 80;
constexpr double kKeyLeft = 36, kKeyGap = 28, kFoot = 4;
constexpr double kLetter = 8.2;  // width of an average one
constexpr double kLine = 18;     // height of a line of text
constexpr double kLargestBubble = 36, kSmallestBubble = 3;
constexpr double kMarkRadius = 8;
constexpr std::size_t kMostColumns = 4;

double part_of(const Axis& axis, double value) {
  return axis.logarithmic ? std::log(value / axis.low) / std::log(axis.high / axis.low)
                          : (value - axis.low) / (axis.high - axis.low);
}

/// Letters, not bytes.
double letters(const std::string& text) {
  return static_cast<double>(
      std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

struct Box {
  double left, right, top, bottom;

  bool meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

Box around(double x, double y, double radius) {
  return {x - radius, x + radius, y - radius, y + radius};
}

}  // namespace

Canvas::Canvas(const Figure& figure)
    : width(kWidth), left(kLeft), right(kWidth - kRight), top(kTop), bottom(kTop + kPlotHeight) {
  double longest = 1;
  for (const Series& series : figure.series) longest = std::max(longest, letters(series.name));
  const double entry = kKeySample + 8 + longest * kLetter;
  const auto most = static_cast<std::size_t>((kWidth - kKeyLeft) / (entry + kKeyGap));
  const std::size_t count = figure.series.size();
  key_columns_ = std::clamp<std::size_t>(std::min(most, count), 1, kMostColumns);
  const std::size_t rows = (count + key_columns_ - 1) / key_columns_;
  key_step_ = entry + kKeyGap;
  key_top_ = bottom + kBelow;
  height = key_top_ + static_cast<double>(rows) * kKeyRow - kKeyRow / 2 + kFoot;
}

double Canvas::key_x(std::size_t series) const {
  return kKeyLeft + key_step_ * static_cast<double>(series % key_columns_);
}

double Canvas::key_y(std::size_t series) const {
  const std::size_t row = series / key_columns_;
  return key_top_ + kKeyRow * static_cast<double>(row);
}

double Canvas::x_of(const Axis& axis, double x) const {
  return left + part_of(axis, x) * (right - left);
}

double Canvas::y_of(const Axis& axis, double y) const {
  return bottom - part_of(axis, y) * (bottom - top);
}

double bubble_radius(const Mark& mark) {
  return mark.area <= 0 ? 0 : std::max(kSmallestBubble, kLargestBubble * std::sqrt(mark.area));
}

std::vector<NamePlace> place_names(const Figure& figure, const Canvas& canvas) {
  std::vector<Box> taken;
  for (const Series& series : figure.series) {
    const Mark& mark = series.marks.front();
    taken.push_back(
        around(canvas.x_of(figure.x, mark.x), canvas.y_of(figure.y, mark.y), kMarkRadius));
  }
  std::vector<NamePlace> places;
  for (const Series& series : figure.series) {
    const Mark& mark = series.marks.front();
    const double x = canvas.x_of(figure.x, mark.x), y = canvas.y_of(figure.y, mark.y);
    const double width = letters(series.name) * kLetter;
    NamePlace place;
    for (const double down : {0.0, -1.0, 1.0, -2.0, 2.0}) {
      for (const bool to_the_left : {false, true}) {
        const double side = down == 0 ? kMarkRadius + 4 : -kMarkRadius;
        const double start = to_the_left ? x - side - width : x + side;
        const double middle = y + down * (kLine + 1);
        const Box box{start, start + width, middle - kLine / 2, middle + kLine / 2};
        const bool free = std::ranges::none_of(taken, [&](const Box& b) { return b.meets(box); });
        const bool inside = box.left >= canvas.left && box.right <= canvas.width && box.top >= 0 &&
                            box.bottom <= canvas.bottom;
        if (place.shown || !free || !inside) continue;
        place = {true, to_the_left ? x - side : x + side, middle, to_the_left};
        taken.push_back(box);
      }
    }
    places.push_back(place);
  }
  return places;
}

}  // namespace arena
