#include "results/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "harness/core/check.hpp"

namespace arena {
namespace {

/// Where a rising function reaches `value`, between low and high.
template <class Function>
double solve_rising(const Function& function, double value, double low, double high) {
  while (true) {
    const double middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    (function(middle) < value ? low : high) = middle;
  }
}

}  // namespace

double mean(std::span<const double> values) {
  check(!values.empty(), "mean of no values");
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double sample_deviation(std::span<const double> values) {
  const double center = mean(values);
  if (values.size() < 2) return 0;
  double squares = 0;
  for (const double value : values) squares += (value - center) * (value - center);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double quantile(std::span<const double> values, double q) {
  check(!values.empty(), "quantile of no values");
  check(q >= 0 && q <= 1, "quantile {} is not in 0..1", q);
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = position - static_cast<double>(below);
  return sorted[below] + part * (sorted[above] - sorted[below]);
}

double median(std::span<const double> values) {
  return quantile(values, 0.5);
}

double median_absolute_deviation(std::span<const double> values) {
  const double center = median(values);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::abs(value - center));
  return median(distances);
}

double binomial_standard_error(double share, double count) {
  check(share >= 0 && share <= 1 && count > 0, "no standard error for a share of {} among {}",
        share, count);
  return std::sqrt(share * (1 - share) / count);
}

double normal_probability(double z) {
  return std::erfc(-z / std::numbers::sqrt2) / 2;
}

double normal_quantile(double probability) {
  check(probability > 0 && probability < 1, "no normal quantile for a probability of {}",
        probability);
  constexpr double kFarthest = 40;  // a smaller probability than 1e-300
  if (probability > 0.5) return -normal_quantile(1 - probability);
  return solve_rising(normal_probability, probability, -kFarthest, 0);
}

double student_probability(double t, int freedom) {
  // Abramowitz and Stegun, 26.7.3 and 26.7.4
  const double angle = std::atan(t / std::sqrt(static_cast<double>(freedom)));
  const double cosine = std::cos(angle);
  const bool odd = freedom % 2 == 1;
  double term = odd ? cosine : 1;
  double sum = 0;
  for (int k = odd ? 1 : 0; k <= freedom - 2; k += 2) {
    sum += term;
    term *= cosine * cosine * (k + 1) / (k + 2);
  }
  sum *= std::sin(angle);
  return odd ? (angle + sum) * 2 / std::numbers::pi : sum;
}

double student_t(double confidence, int freedom) {
  check(confidence > 0 && confidence < 1 && freedom >= 1,
        "no Student's t for a confidence of {} and {} degrees of freedom", confidence, freedom);
  constexpr double kLargest = 1e15;
  const auto probability = [&](double t) { return student_probability(t, freedom); };
  double high = 1;
  while (probability(high) < confidence && high < kLargest) high *= 2;
  return solve_rising(probability, confidence, 0, high);
}

Line fit_line(std::span<const double> x, std::span<const double> y) {
  check(x.size() == y.size() && x.size() >= 2, "no line through {} and {} numbers", x.size(),
        y.size());
  const double x_mean = mean(x);
  const double y_mean = mean(y);
  double xx = 0;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - x_mean) * (x[i] - x_mean);
    xy += (x[i] - x_mean) * (y[i] - y_mean);
  }
  check(xx > 0, "no line through {} points of one x", x.size());
  Line line{.slope = xy / xx, .freedom = static_cast<int>(x.size()) - 2};
  line.intercept = y_mean - line.slope * x_mean;
  if (line.freedom == 0) return line;
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double residual = y[i] - line.intercept - line.slope * x[i];
    squares += residual * residual;
  }
  line.slope_error = std::sqrt(squares / line.freedom / xx);
  return line;
}

double Crossing::at(std::span<const double> values) const {
  return values[before] + part * (values[before + 1] - values[before]);
}

std::optional<Crossing> last_crossing(std::span<const double> values) {
  for (std::size_t i = values.size(); i-- > 1;) {
    const double front = values[i - 1], back = values[i];
    if ((front < 0) != (back < 0)) return Crossing{i - 1, front / (front - back)};
  }
  return std::nullopt;
}

}  // namespace arena
