// Pathfinder's patches against bytes of the public generator's.

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "tasks/pathfinder/drawing.hpp"

namespace arena {
namespace {

Index sum_of(const ByteImage& image) {
  return std::accumulate(image.bytes().begin(), image.bytes().end(), Index{0});
}

PaddlePatch paddle_at(Index side, Index margin, double degrees) {
  const PathfinderShape shape = pathfinder_shape(side, PathfinderDifficulty::kHard);
  const double angle = degrees * std::numbers::pi / 180;
  return draw_paddle(shape, margin, large_end(shape, margin, std::sin(angle), std::cos(angle)));
}

std::vector<int> row_of(const ByteImage& image, Index y) {
  return {image.row(y), image.row(y) + image.cols()};
}

TEST(PathfinderDrawing, PaddlesHaveTheSumsOfThePublicGenerator) {
  struct Golden {
    Index side, margin, patch;
    std::array<Index, 4> line, mask, full;  // at 0, 30, -90 and 135 degrees
  };
  const std::vector<Golden> cases = {
      {32, 1, 9, {355, 429, 367, 352}, {2353, 2379, 2346, 2030}, {3, 3, 2, 2}},
      {64, 1, 15, {1696, 1293, 1718, 1768}, {5381, 4695, 5387, 4969}, {11, 7, 7, 5}},
      {128, 2, 19, {2253, 1894, 2211, 2777}, {11920, 11057, 11903, 12434}, {20, 14, 16, 16}},
      {128, 3, 21, {2242, 1883, 2193, 2763}, {19365, 18909, 19352, 20484}, {41, 36, 34, 35}},
      {256, 3, 21, {2973, 2807, 2949, 3292}, {20860, 20813, 20848, 21623}, {40, 38, 37, 40}},
  };
  for (const Golden& golden : cases) {
    const std::array<double, 4> degrees = {0, 30, -90, 135};
    for (std::size_t i = 0; i < degrees.size(); ++i) {
      SCOPED_TRACE(testing::Message()
                   << golden.side << " margin " << golden.margin << " at " << degrees[i]);
      const PaddlePatch patch = paddle_at(golden.side, golden.margin, degrees[i]);
      EXPECT_EQ(patch.line.rows(), golden.patch);
      EXPECT_EQ(patch.line.cols(), golden.patch);
      EXPECT_EQ(sum_of(patch.line), golden.line[i]);
      EXPECT_EQ(sum_of(patch.mask), golden.mask[i]);
      EXPECT_EQ(std::ranges::count(patch.mask.bytes(), 255), golden.full[i]);
    }
  }
}

TEST(PathfinderDrawing, APaddleOfSize32ByteForByte) {
  const PaddlePatch patch = paddle_at(32, 1, 0);
  EXPECT_EQ(row_of(patch.line, 4), (std::vector<int>{0, 0, 2, 0, 102, 135, 116, 0, 0}));
  EXPECT_EQ(row_of(patch.mask, 1), (std::vector<int>{0, 0, 0, 1, 2, 2, 2, 1, 0}));
  EXPECT_EQ(row_of(patch.mask, 3), (std::vector<int>{0, 1, 2, 20, 173, 204, 186, 28, 0}));
  EXPECT_EQ(row_of(patch.mask, 4), (std::vector<int>{0, 3, 0, 155, 255, 255, 255, 183, 3}));
  EXPECT_EQ(row_of(patch.mask, 5), row_of(patch.mask, 3));
  EXPECT_EQ(row_of(patch.mask, 7), row_of(patch.mask, 1));
}

TEST(PathfinderDrawing, MarkersHaveTheSumsOfThePublicGenerator) {
  const std::vector<std::pair<double, Index>> cases = {
      {1.5, 1906}, {2.5, 5230}, {3, 7270}, {5, 20267}};
  for (const auto& [radius, sum] : cases) {
    EXPECT_EQ(sum_of(MarkerPen(radius, 33).draw({16, 16})), sum) << radius;
  }
}

/// A marker on its image, without windows: the whole large image is shrunk.
ByteImage whole_marker(double radius, Index side, PixelAt centre) {
  ByteImage large(2 * side, 2 * side);
  for (Index y = 0; y < 2 * side; ++y) {
    for (Index x = 0; x < 2 * side; ++x) {
      const double distance = std::hypot(y - 2 * centre.y, x - 2 * centre.x);
      if (distance <= 2 * radius) large.row(y)[x] = 255;
    }
  }
  const LanczosAxis axis(2 * side, side);
  return axis.shrink_rows(axis.shrink_rows(large, 0, 0, side), 0, 0, side);
}

TEST(PathfinderDrawing, MarkersAtTheBorderAreThoseOfTheWholeImage) {
  constexpr Index kSide = 32;
  const MarkerPen pen(2.5, kSide);
  for (const PixelAt centre : {PixelAt{16, 16}, PixelAt{0, 0}, PixelAt{1, 30}, PixelAt{31, 3}}) {
    const ByteImage whole = whole_marker(2.5, kSide, centre);
    const ByteImage patch = pen.draw(centre);
    for (Index y = 0; y < kSide; ++y) {
      for (Index x = 0; x < kSide; ++x) {
        const PixelAt at{y - centre.y + pen.reach(), x - centre.x + pen.reach()};
        ASSERT_EQ(patch.contains(at) ? patch.at(at) : 0, whole.at({y, x})) << y << ' ' << x;
      }
    }
    EXPECT_EQ(sum_of(patch), sum_of(whole));
  }
}

}  // namespace
}  // namespace arena
