#include "results/bootstrap.hpp"

#include <algorithm>
#include <cmath>

#include "harness/core/check.hpp"
#include "results/statistics.hpp"

namespace arena {
namespace {

/// A sixth of the skewness of the jackknife's influences; of several samples, all of them together,
/// each influence by the size of its sample (Efron and Tibshirani, 1993, 14.10 and exercise 14.5).
double acceleration(const Samples& samples, const Statistic& statistic) {
  double squares = 0, cubes = 0;
  for (std::size_t s = 0; s < samples.size(); ++s) {
    const std::size_t size = samples[s].size();
    if (size < 2) continue;
    std::vector<double> without;
    for (std::size_t left_out = 0; left_out < size; ++left_out) {
      Samples rest = samples;
      rest[s].erase(rest[s].begin() + static_cast<std::ptrdiff_t>(left_out));
      without.push_back(statistic(rest));
    }
    const double center = mean(without);
    const auto count = static_cast<double>(size);
    for (const double value : without) {
      const double influence = (count - 1) / count * (center - value);
      squares += influence * influence;
      cubes += influence * influence * influence;
    }
  }
  return squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
}

std::vector<double> resampled(const Samples& samples, const Statistic& statistic, RandomKey key,
                              int count) {
  RandomStream random(key);
  std::vector<double> values;
  Samples drawn = samples;
  for (int i = 0; i < count; ++i) {
    for (std::size_t s = 0; s < samples.size(); ++s) {
      for (double& value : drawn[s]) {
        const Index at = random.below(static_cast<Index>(samples[s].size()));
        value = samples[s][static_cast<std::size_t>(at)];
      }
    }
    values.push_back(statistic(drawn));
  }
  return values;
}

}  // namespace

Interval bootstrap_interval(const Samples& samples, const Statistic& statistic, double confidence,
                            RandomKey key, int resamples) {
  check(confidence > 0 && confidence < 1, "no interval for a confidence of {}", confidence);
  check(!samples.empty(), "no interval from no sample");
  for (const std::vector<double>& sample : samples) {
    check(!sample.empty(), "no interval from an empty sample");
  }
  const double observed = statistic(samples);
  const std::vector<double> values = resampled(samples, statistic, key, resamples);
  double below = 0;
  for (const double value : values) below += value < observed ? 1 : value == observed ? 0.5 : 0;
  // Half a resample from the ends: the bias of a value that all others lie on one side of is finite
  const double count = resamples;
  const double share = std::clamp(below / count, 0.5 / count, 1 - 0.5 / count);
  const double bias = normal_quantile(share);
  const double a = acceleration(samples, statistic);
  const auto bound = [&](double probability) {
    const double z = bias + normal_quantile(probability);
    return quantile(values, normal_probability(bias + z / (1 - a * z)));
  };
  const double tail = (1 - confidence) / 2;
  return {.low = bound(tail), .high = bound(1 - tail)};
}

}  // namespace arena
