#pragma once
// Intervals by resampling, with a counter-based generator: the same data give the same digits.

#include <functional>
#include <vector>

#include "harness/core/random.hpp"

namespace arena {

struct Interval {
  double low = 0, high = 0;

  bool holds(double value) const { return low <= value && value <= high; }
};

/// Independent samples; of each, values are drawn again from that sample alone.
using Samples = std::vector<std::vector<double>>;
using Statistic = std::function<double(const Samples&)>;

/// The value of a statistic of `samples` with its BCa interval (Efron, 1987): the quantiles of
/// resampled values, shifted for their bias and for how their spread changes with the value, the
/// latter by the jackknife. Throws Error where a sample is empty or `confidence` is not in 0..1.
Interval bootstrap_interval(const Samples& samples, const Statistic& statistic, double confidence,
                            RandomKey key, int resamples = 2000);

}  // namespace arena
