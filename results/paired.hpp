#pragma once
// Two sets of trainings on the same test examples, compared example by example and seed by seed.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "results/bootstrap.hpp"
#include "results/record.hpp"

namespace arena {

/// With fewer seeds than this nothing is said about other seeds than those.
inline constexpr Index kSeedsForClaims = 5;

struct PairedDifference {
  double value = 0;     // accuracy of the second set minus that of the first
  Interval interval{};  // of 95 %
  double p = 1;         // two-sided, of no difference
  Index seeds = 0;      // that both sets have
  Index examples = 0;   // scored labels of the test split

  /// Whether value and interval are about any seed, or only about those that were run.
  bool about_seeds() const { return seeds >= kSeedsForClaims; }
};

/// Ways to draw the examples of a test split again, kept because every pair of sets uses the same.
class ExampleResamples {
 public:
  ExampleResamples(Index examples, int resamples, RandomKey key);
  int count() const { return static_cast<int>(planes_.size()); }
  /// Number of drawn examples, each as often as it was drawn, whose bit is set.
  Index drawn(int resample, std::span<const std::uint64_t> bits) const;

 private:
  /// Bit i of plane k is bit k of how often example i was drawn.
  using Planes = std::vector<std::vector<std::uint64_t>>;
  std::vector<Planes> planes_;
};

/// Compares sets of trainings by their bitmaps of right answers. A bootstrap over examples, drawn
/// alike for all seeds and both sets, and, with kSeedsForClaims seeds or more, over seeds as well;
/// its variance, freed of the bias that few seeds have, gives the interval by Student's t with the
/// degrees of freedom of Satterthwaite (1946). Labels of one sequence are taken as independent.
class PairedComparison {
 public:
  explicit PairedComparison(RandomKey key, int resamples = 1000)
      : key_(key), resamples_(resamples) {}
  /// Absent where no seed has a bitmap of the same examples in both sets.
  std::optional<PairedDifference> operator()(std::span<const Record* const> first,
                                             std::span<const Record* const> second);

 private:
  const ExampleResamples& examples(Index count);

  RandomKey key_;
  int resamples_;
  std::map<Index, ExampleResamples> drawn_;
};

/// Which test examples were right, from a record's hexadecimal digits: the first example is the
/// highest bit of the first word. Throws Error naming `source` on anything but such digits.
std::vector<std::uint64_t> right_examples(const std::string& digits, const std::string& source);

}  // namespace arena
