#pragma once
// Tests of hypotheses: the probability of data at least as extreme as these, if nothing differs.

#include <span>
#include <vector>

#include "harness/core/random.hpp"

namespace arena {

struct RankTest {
  double u = 0;        // pairs (of a, of b) with a above b, ties as halves
  double p = 1;        // two-sided
  bool exact = false;  // from the distribution of U itself
};
/// Mann and Whitney's U test of two independent samples: exact where no values are equal and the
/// samples are small (up to 50 each), else by the normal distribution, corrected for ties and
/// continuity. Throws Error on an empty sample.
RankTest mann_whitney(std::span<const double> a, std::span<const double> b);

/// Two-sided permutation test of the difference of two means: the share of all ways to deal the
/// values out again whose difference is at least as large. With more than 100,000 ways, that many
/// drawn at random with `key` (the data themselves counted as one more).
double permutation_test(std::span<const double> a, std::span<const double> b, RandomKey key);

/// The same for the mean of paired differences: the share of all choices of signs whose sum is at
/// least as far from 0.
double sign_flip_test(std::span<const double> differences, RandomKey key);

/// Holm's step-down correction: each p such that comparing it with alpha keeps the probability of
/// any false alarm among all of them below alpha. In the order given.
std::vector<double> holm(std::span<const double> p_values);

}  // namespace arena
