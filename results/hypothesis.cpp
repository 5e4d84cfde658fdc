#include "results/hypothesis.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/core/check.hpp"
#include "results/statistics.hpp"

namespace arena {
namespace {

constexpr std::size_t kLargestExact = 50;     // values of a sample
constexpr double kMostArrangements = 100000;  // that are looked at one by one
constexpr double kRounding = 1e-12;           // of sums that are equal but for their order

/// Number of ways to draw `of_a` of the ranks for which U is 0, 1, ...: U with n and m values is
/// that of n - 1 (the largest is of a: it beats all m) or of m - 1.
std::vector<double> ways_by_u(std::size_t of_a, std::size_t of_b) {
  std::vector<std::vector<double>> ways(of_b + 1, std::vector<double>{1});  // n = 0: only U = 0
  for (std::size_t n = 1; n <= of_a; ++n) {
    ways[0] = {1};
    for (std::size_t m = 1; m <= of_b; ++m) {
      std::vector<double> here(n * m + 1, 0);
      for (std::size_t u = 0; u < ways[m].size(); ++u) here[u + m] += ways[m][u];
      for (std::size_t u = 0; u < ways[m - 1].size(); ++u) here[u] += ways[m - 1][u];
      ways[m] = std::move(here);
    }
  }
  return ways[of_b];
}

double exact_p(double u, std::size_t of_a, std::size_t of_b) {
  const std::vector<double> ways = ways_by_u(of_a, of_b);
  const double all = std::accumulate(ways.begin(), ways.end(), 0.0);
  const double center = static_cast<double>(ways.size() - 1) / 2;
  double extreme = 0;
  for (std::size_t i = 0; i < ways.size(); ++i) {
    if (std::abs(static_cast<double>(i) - center) >= std::abs(u - center)) extreme += ways[i];
  }
  return extreme / all;
}

/// `ties` is the sum of t^3 - t over groups of t equal values.
double normal_p(double u, double of_a, double of_b, double ties) {
  const double count = of_a + of_b;
  const double variance = of_a * of_b / 12 * (count + 1 - ties / (count * (count - 1)));
  if (variance <= 0) return 1;  // all values are equal
  const double distance = std::max(0.0, std::abs(u - of_a * of_b / 2) - 0.5);
  return std::min(1.0, 2 * normal_probability(-distance / std::sqrt(variance)));
}

double number_of_ways(double count, double chosen) {
  return std::exp(std::lgamma(count + 1) - std::lgamma(chosen + 1) -
                  std::lgamma(count - chosen + 1));
}

}  // namespace

RankTest mann_whitney(std::span<const double> a, std::span<const double> b) {
  check(!a.empty() && !b.empty(), "no rank test of {} and {} values", a.size(), b.size());
  RankTest test;
  for (const double x : a) {
    for (const double y : b) test.u += x > y ? 1 : x == y ? 0.5 : 0;
  }
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  std::ranges::sort(all);
  double ties = 0;
  for (auto from = all.begin(); from != all.end();) {
    const auto to = std::upper_bound(from, all.end(), *from);
    const auto equal = static_cast<double>(to - from);
    ties += equal * equal * equal - equal;
    from = to;
  }
  test.exact = ties == 0 && std::max(a.size(), b.size()) <= kLargestExact;
  test.p = test.exact ? exact_p(test.u, a.size(), b.size())
                      : normal_p(test.u, static_cast<double>(a.size()),
                                 static_cast<double>(b.size()), ties);
  return test;
}

double permutation_test(std::span<const double> a, std::span<const double> b, RandomKey key) {
  check(!a.empty() && !b.empty(), "no permutation test of {} and {} values", a.size(), b.size());
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  // The difference of the means grows with the sum of a alone; so that sum stands for it.
  const double center = mean(all) * static_cast<double>(a.size());
  const double observed = std::abs(std::accumulate(a.begin(), a.end(), 0.0) - center);
  const double least = observed - kRounding * std::max(1.0, std::abs(center));
  double looked_at = 0, extreme = 0;
  const auto look_at = [&](double sum) {
    ++looked_at;
    if (std::abs(sum - center) >= least) ++extreme;
  };
  const auto count = static_cast<double>(all.size());
  if (number_of_ways(count, static_cast<double>(a.size())) < kMostArrangements + 0.5) {
    std::vector<char> of_a(all.size(), 0);
    std::fill(of_a.end() - static_cast<std::ptrdiff_t>(a.size()), of_a.end(), 1);
    do {
      double sum = 0;
      for (std::size_t i = 0; i < all.size(); ++i) sum += of_a[i] != 0 ? all[i] : 0;
      look_at(sum);
    } while (std::ranges::next_permutation(of_a).found);
    return extreme / looked_at;
  }
  RandomStream random(key);
  while (looked_at < kMostArrangements) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {  // the first steps of a shuffle
      const Index other = random.below(static_cast<Index>(all.size() - i));
      std::swap(all[i], all[i + static_cast<std::size_t>(other)]);
      sum += all[i];
    }
    look_at(sum);
  }
  return (extreme + 1) / (looked_at + 1);
}

double sign_flip_test(std::span<const double> differences, RandomKey key) {
  check(!differences.empty(), "no test of no differences");
  double size = 0;
  for (const double difference : differences) size += std::abs(difference);
  const double observed = std::abs(std::accumulate(differences.begin(), differences.end(), 0.0));
  const double least = observed - kRounding * size;
  double looked_at = 0, extreme = 0;
  const auto look_at = [&](auto&& is_flipped) {
    double sum = 0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      sum += is_flipped(i) ? -differences[i] : differences[i];
    }
    ++looked_at;
    if (std::abs(sum) >= least) ++extreme;
  };
  const double ways = std::exp2(static_cast<double>(differences.size()));
  if (ways <= kMostArrangements) {
    for (std::uint64_t signs = 0; signs < (std::uint64_t{1} << differences.size()); ++signs) {
      look_at([&](std::size_t i) { return (signs >> i & 1) != 0; });
    }
    return extreme / looked_at;
  }
  RandomStream random(key);
  while (looked_at < kMostArrangements) {
    look_at([&](std::size_t) { return random.word() >> 31 != 0; });
  }
  return (extreme + 1) / (looked_at + 1);
}

std::vector<double> holm(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t i, std::size_t j) { return p_values[i] < p_values[j]; });
  std::vector<double> corrected(p_values.size());
  double largest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const double p = p_values[order[rank]] * static_cast<double>(order.size() - rank);
    largest = std::max(largest, std::min(1.0, p));
    corrected[order[rank]] = largest;
  }
  return corrected;
}

}  // namespace arena
