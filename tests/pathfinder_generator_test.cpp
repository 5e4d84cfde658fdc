// The Pathfinder generator against statistics measured with an independent implementation, which
// agree with those of the public generator.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "expect_error.hpp"
#include "harness/core/hash.hpp"
#include "tasks/pathfinder/generator.hpp"

namespace arena {
namespace {

constexpr double kStandardErrors = 4;

RandomStream stream_for(Index index) {
  return RandomStream(RandomKey(0).fold(Purpose::kTest).fold(static_cast<std::uint64_t>(index)));
}

double distance(PixelAt a, PixelAt b) {
  return std::hypot(static_cast<double>(a.y - b.y), static_cast<double>(a.x - b.x));
}

struct Reference {
  Index side;
  PathfinderDifficulty difficulty;
  double images;  // behind the reference
  Index drawn;    // here
  double pair, distractors, non_zero, mean, deviation, full, bright, tips, ends;
};

constexpr auto kEasy = PathfinderDifficulty::kEasy;
constexpr auto kIntermediate = PathfinderDifficulty::kIntermediate;
constexpr auto kHard = PathfinderDifficulty::kHard;

const std::vector<Reference> kReferences = {
    {32, kEasy, 20000, 8000, .0451, 3.30, .2281, 12.99, 43.13, .00163, .0522, 17.68, 14.89},
    {32, kIntermediate, 10000, 5000, .0151, 1.79, .2669, 15.46, 46.10, .00190, .0638, 16.70, 14.39},
    {32, kHard, 6000, 3000, .00306, 1.164, .3416, 20.18, 51.08, .00219, .0852, 16.25, 13.36},
    {64, kEasy, 3000, 3000, .0885, 7.94, .1990, 10.27, 37.29, .00254, .0357, 37.23, 34.42},
    {64, kIntermediate, 1000, 600, .0050, 4.53, .2196, 11.41, 38.90, .00258, .0400, 33.81, 40.88},
    {64, kHard, 300, 100, .00024, 2.61, .2602, 13.39, 41.31, .00249, .0460, 33.2, 32.4},
    {128, kEasy, 600, 600, .561, 17.00, .1099, 6.32, 32.19, .00073, .0243, 70.6, 51.8},
    {128, kIntermediate, 400, 400, .0961, 10.94, .1207, 6.94, 33.64, .00073, .0267, 79.7, 73.1},
    {128, kHard, 300, 150, .0028, 7.72, .1370, 7.90, 35.63, .00073, .0303, 68.4, 75.6},
    {256, kEasy, 200, 200, .637, 15.00, .0300, 2.35, 21.68, .00279, .0089, 78.4, 56.4},
    {256, kIntermediate, 200, 200, .406, 10.00, .0337, 2.61, 22.77, .00305, .0099, 103.3, 84.4},
    {256, kHard, 100, 200, .121, 6.99, .0389, 2.95, 24.14, .00342, .0112, 117.6, 124.7},
};

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Of the difference between the mean of `values` and one of `reference` more.
double standard_error(const std::vector<double>& values, double reference) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const auto n = static_cast<double>(values.size());
  return std::sqrt(squares / (n - 1) * (1 / n + 1 / reference));
}

/// One number for each image.
struct Measured {
  std::vector<double> attempts, distractors, non_zero, mean, square, full, bright, tips, ends;

  void add(const PathfinderScene& scene, const std::vector<std::uint8_t>& image) {
    double sum = 0, squares = 0, lit = 0, white = 0, above = 0;
    for (const std::uint8_t byte : image) {
      sum += byte;
      squares += byte * byte;
      lit += byte > 0 ? 1 : 0;
      white += byte == 255 ? 1 : 0;
      above += byte > 127 ? 1 : 0;
    }
    const auto pixels = static_cast<double>(image.size());
    attempts.push_back(static_cast<double>(scene.attempts));
    distractors.push_back(static_cast<double>(scene.num_distractors));
    non_zero.push_back(lit / pixels);
    mean.push_back(sum / pixels);
    square.push_back(squares / pixels);
    full.push_back(white / pixels);
    bright.push_back(above / pixels);
    const auto& [first, second] = scene.ends;
    tips.push_back(distance(first[1], second[1]));
    ends.push_back((distance(first[0], first[1]) + distance(second[0], second[1])) / 2);
  }
};

class PathfinderStatistics : public testing::TestWithParam<Reference> {};
INSTANTIATE_TEST_SUITE_P(Sizes, PathfinderStatistics, testing::ValuesIn(kReferences),
                         [](const auto& test) {
                           return "Size" + std::to_string(test.param.side) + "Difficulty" +
                                  std::to_string(static_cast<int>(test.param.difficulty));
                         });

TEST_P(PathfinderStatistics, AreThoseOfTheReference) {
  const Reference& expected = GetParam();
  const PathfinderGenerator generator(pathfinder_shape(expected.side, expected.difficulty));
  Measured measured;
  for (Index i = 0; i < expected.drawn; ++i) {
    RandomStream stream = stream_for(i);
    const PathfinderScene scene = generator.draw(stream);
    measured.add(scene, generator.render(scene, i & 1, i >> 1 & 1));
  }
  const auto expect_mean = [&](const char* name, const std::vector<double>& values, double mean,
                               double rounding) {
    const double error = standard_error(values, expected.images);
    EXPECT_NEAR(mean_of(values), mean, kStandardErrors * error + rounding) << name;
  };
  expect_mean("distractors", measured.distractors, expected.distractors, .005);
  expect_mean("non-zero", measured.non_zero, expected.non_zero, .00005);
  expect_mean("mean", measured.mean, expected.mean, .005);
  expect_mean("full", measured.full, expected.full, .000005);
  expect_mean("bright", measured.bright, expected.bright, .00005);
  expect_mean("between tips", measured.tips, expected.tips, .05);
  expect_mean("between ends", measured.ends, expected.ends, .05);
  // Attempts are geometric: the share that succeeds is known to its own part in sqrt(images).
  const double pair = 1 / mean_of(measured.attempts);
  EXPECT_NEAR(pair, expected.pair,
              kStandardErrors * pair * pair * standard_error(measured.attempts, expected.images) +
                  .0005 * (expected.pair > .1 ? 1 : .1))
      << "pair";
  // The deviation's error, to first order in those of the mean and of the mean square.
  const double mean = mean_of(measured.mean);
  std::vector<double> around_mean = measured.square;
  for (std::size_t i = 0; i < around_mean.size(); ++i)
    around_mean[i] -= 2 * mean * measured.mean[i];
  const double deviation = std::sqrt(mean_of(measured.square) - mean * mean);
  EXPECT_NEAR(
      deviation, expected.deviation,
      kStandardErrors * standard_error(around_mean, expected.images) / (2 * deviation) + .005)
      << "deviation";
}

TEST(PathfinderBrush, SeedAnglesAreThoseThatTheGeneratorEverUses) {
  const auto allowed = [](Index side, Index margin) {
    const PathfinderShape shape = pathfinder_shape(side, kHard);
    const Brush brush(shape, margin);
    std::set<Index> degrees;
    for (Index angle = 0; angle < Brush::kSeedAngles; ++angle) {
      if (!brush.kernel(angle).empty()) degrees.insert(angle - 180);
    }
    return degrees;
  };
  const auto range = [](Index first, Index last) {
    std::set<Index> degrees;
    for (Index d = first; d <= last; ++d) degrees.insert(d);
    return degrees;
  };
  EXPECT_EQ(allowed(32, 1), range(-150, -121));
  std::set<Index> of_64 = range(-180, -85);
  of_64.erase(-135);
  EXPECT_EQ(allowed(64, 1), of_64);
  std::set<Index> of_128 = range(-180, 179);
  for (const Index degree : range(-59, -54)) of_128.erase(degree);
  EXPECT_EQ(allowed(128, 2), of_128);
  EXPECT_EQ(allowed(128, 3), range(-180, 179));
  EXPECT_EQ(allowed(256, 3), range(-180, 179));
}

TEST(PathfinderGenerator, DiscsAreAtEndsOfOneContourOrOfTwo) {
  constexpr int kLine = 204;  // a line's brightest pixel at this size: 0.8
  const PathfinderGenerator generator(pathfinder_shape(64, kEasy));
  for (Index i = 0; i < 200; ++i) {
    RandomStream stream = stream_for(i);
    const PathfinderScene scene = generator.draw(stream);
    for (const std::size_t label : {0U, 1U}) {
      for (const std::size_t from : {0U, 1U}) {
        const auto image =
            generator.render(scene, static_cast<Index>(label), static_cast<Index>(from));
        const std::size_t to = label == 1 ? from : 1 - from;
        const PixelAt begin = scene.ends[from][0];
        const PixelAt end = scene.ends[to][1];
        const auto at = [&](PixelAt p) { return image[static_cast<std::size_t>(p.y * 64 + p.x)]; };
        ASSERT_GT(at(begin), kLine);
        ASSERT_GT(at(end), kLine);
        for (const PixelAt other : {scene.ends[1 - from][0], scene.ends[1 - to][1]}) {
          if (distance(other, begin) <= 4 || distance(other, end) <= 4) continue;
          ASSERT_LE(at(other), kLine);
        }
      }
    }
  }
}

TEST(PathfinderGenerator, TheSameStreamGivesTheSameImage) {
  const PathfinderGenerator one(pathfinder_shape(32, kHard));
  const PathfinderGenerator two(pathfinder_shape(32, kHard));
  RandomStream here = stream_for(5);
  RandomStream there = stream_for(5);
  const auto image = one.render(one.draw(here), 1, 0);
  EXPECT_EQ(image, two.render(two.draw(there), 1, 0));
  // What made records so far: another generator needs another version in the task's data hash.
  EXPECT_EQ(fnv1a(std::span<const std::uint8_t>(image)), 8447994237012482939U);
}

TEST(PathfinderShape, OtherSizesAreErrors) {
  EXPECT_ERROR(pathfinder_shape(48, kEasy), "side 32, 64, 128 or 256, not 48");
  EXPECT_EQ(pathfinder_folder(kIntermediate), "curv_contour_length_9");
}

}  // namespace
}  // namespace arena
