#include "results/bootstrap.hpp"

#include <gtest/gtest.h>

#include "results/statistics.hpp"
#include "tests/expect_error.hpp"

namespace arena {
namespace {

double mean_of_first(const Samples& samples) {
  return mean(samples[0]);
}

double ratio_of_medians(const Samples& samples) {
  return median(samples[1]) / median(samples[0]);
}

/// The spatial test data of Efron and Tibshirani (1993), table 14.1: of their variance, 171.5, the
/// BCa interval of 90 % is 115.8 to 259.6 (table 14.2, 2000 resamples) where the quantiles alone
/// are 100.8 to 233.9. SciPy 1.17 with a million resamples: 115.6 to 261.3.
TEST(Bootstrap, IntervalOfAVariance) {
  const Samples samples{{48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6,
                         0,  33, 28, 34, 4,  32, 24, 47, 41, 24, 26, 30, 41}};
  const auto variance = [](const Samples& of) {
    double squares = 0;
    for (const double value : of[0]) squares += (value - mean(of[0])) * (value - mean(of[0]));
    return squares / static_cast<double>(of[0].size());
  };
  EXPECT_NEAR(variance(samples), 171.5, 0.05);
  const Interval interval = bootstrap_interval(samples, variance, 0.9, RandomKey(1), 20000);
  EXPECT_NEAR(interval.low, 115.6, 1.5);
  EXPECT_NEAR(interval.high, 261.3, 3);
}

/// The mice of table 2.1 there; SciPy 1.17, half a million resamples: -19.3 to 86.0.
TEST(Bootstrap, IntervalOfADifferenceOfTwoSamples) {
  const Samples samples{{94, 197, 16, 38, 99, 141, 23}, {52, 104, 146, 10, 51, 30, 40, 27, 46}};
  const auto difference = [](const Samples& of) { return mean(of[0]) - mean(of[1]); };
  const Interval interval = bootstrap_interval(samples, difference, 0.95, RandomKey(1), 20000);
  EXPECT_NEAR(interval.low, -19.3, 1.5);
  EXPECT_NEAR(interval.high, 86.0, 1.5);
}

/// How often the interval holds the truth, with skewed values.
TEST(Bootstrap, IntervalsHoldTheTruthAsOftenAsTheySay) {
  constexpr int kTrials = 400;
  constexpr double kConfidence = 0.9;
  RandomStream random(RandomKey(11));
  int mean_held = 0, ratio_held = 0;
  for (std::uint64_t trial = 0; trial < kTrials; ++trial) {
    Samples samples(2, std::vector<double>(25));
    for (std::vector<double>& sample : samples) {
      for (double& value : sample) value = -std::log(1 - random.uniform());  // mean 1
    }
    const RandomKey key = RandomKey(12).fold(trial);
    mean_held += bootstrap_interval({samples[0]}, mean_of_first, kConfidence, key, 300).holds(1);
    ratio_held += bootstrap_interval(samples, ratio_of_medians, kConfidence, key, 300).holds(1);
  }
  // Three standard errors of 400 trials are 4.5 %; BCa falls a little short with 25 values.
  EXPECT_NEAR(static_cast<double>(mean_held) / kTrials, kConfidence, 0.05);
  EXPECT_NEAR(static_cast<double>(ratio_held) / kTrials, kConfidence, 0.05);
}

TEST(Bootstrap, OfEqualValuesIsAPoint) {
  const Interval interval =
      bootstrap_interval({{2, 2, 2}, {3, 3}}, ratio_of_medians, 0.95, RandomKey(1));
  EXPECT_EQ(interval.low, 1.5);
  EXPECT_EQ(interval.high, 1.5);
}

TEST(Bootstrap, DependsOnTheKeyAlone) {
  const Samples samples{{1, 5, 2, 8, 3}};
  const auto low = [&](std::uint64_t seed) {
    return bootstrap_interval(samples, mean_of_first, 0.95, RandomKey(seed), 100).low;
  };
  EXPECT_EQ(low(1), low(1));
  EXPECT_NE(low(1), low(2));
}

TEST(Bootstrap, RefusesWhatHasNoAnswer) {
  EXPECT_ERROR(bootstrap_interval({}, mean_of_first, 0.95, RandomKey(1)), "no sample");
  EXPECT_ERROR(bootstrap_interval({{}}, mean_of_first, 0.95, RandomKey(1)), "an empty sample");
  EXPECT_ERROR(bootstrap_interval({{1}}, mean_of_first, 1, RandomKey(1)), "confidence of 1");
}

}  // namespace
}  // namespace arena
