#pragma once
// Small statistics on plain lists of numbers. An empty list is an Error.

#include <optional>
#include <span>

namespace arena {

double mean(std::span<const double> values);
/// Standard deviation of the population these were drawn from (divides by n - 1); 0 for one value.
double sample_deviation(std::span<const double> values);
/// Value below which a share `q` (0 to 1) of the values lies, linear between neighbours.
double quantile(std::span<const double> values, double q);
double median(std::span<const double> values);
/// Median distance from the median, not scaled.
double median_absolute_deviation(std::span<const double> values);
/// Standard error of a share of `count` independent yes-or-no outcomes: sqrt(p (1 - p) / count).
double binomial_standard_error(double share, double count);

/// Probability that a standard normal number is below z, to 15 digits in both tails.
double normal_probability(double z);
/// The z for which that is `probability` (0 to 1, exclusive).
double normal_quantile(double probability);

/// Probability that |Student's t| with `freedom` >= 1 degrees of freedom is below t >= 0.
double student_probability(double t, int freedom);
/// The t that |Student's t| with `freedom` >= 1 degrees of freedom stays below with probability
/// `confidence` (0 to 1, exclusive).
double student_t(double confidence, int freedom);

/// Least squares: y = intercept + slope x.
struct Line {
  double slope = 0, intercept = 0;
  double slope_error = 0;  // standard error; 0 for two points
  int freedom = 0;         // points - 2
};
/// Through at least two points, not all of one x.
Line fit_line(std::span<const double> x, std::span<const double> y);

/// Where the line through the values last changes its sign.
struct Crossing {
  std::size_t before = 0;  // the value in front of it; the next one is behind
  double part = 0;         // of the way from one to the other

  /// On the line through other values at the same places.
  double at(std::span<const double> values) const;
};
/// Absent where all have one sign (0 counts as positive).
std::optional<Crossing> last_crossing(std::span<const double> values);

}  // namespace arena
