#pragma once
// Two sets of trainings on the same test examples, compared example by example and seed by seed.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
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
  Index sequences = 0;  // that these labels are of

  /// Whether value and interval are about any seed, or only about those that were run.
  bool about_seeds() const { return seeds >= kSeedsForClaims; }
};

/// Ways to draw the sequences of a test split again, kept because every pair of sets uses the same.
/// Labels of one sequence are right or wrong together more often than not, so none is drawn alone.
class SequenceResamples {
 public:
  /// `labels`: how many each sequence has, one after another in a bitmap.
  SequenceResamples(std::span<const Index> labels, int resamples, RandomKey key);
  int count() const { return static_cast<int>(planes_.size()); }
  /// Number of drawn labels, each as often as its sequence was drawn, whose bit is set.
  Index drawn(int resample, std::span<const std::uint64_t> bits) const;
  /// Number of all drawn labels.
  Index labels(int resample) const { return labels_[static_cast<std::size_t>(resample)]; }

 private:
  /// Bit i of plane k is bit k of how often label i was drawn.
  using Planes = std::vector<std::vector<std::uint64_t>>;
  std::vector<Planes> planes_;
  std::vector<Index> labels_;
};

/// Compares sets of trainings by their bitmaps of right answers. A bootstrap over test sequences,
/// drawn alike for all seeds and both sets, and, with kSeedsForClaims seeds or more, over seeds as
/// well; its variance, freed of the bias that few sequences and few seeds have, gives the interval
/// by Student's t with the degrees of freedom of Satterthwaite (1946). Where no record says which
/// labels are of one sequence, each is taken as one.
class PairedComparison {
 public:
  explicit PairedComparison(RandomKey key, int resamples = 1000)
      : key_(key), resamples_(resamples) {}
  /// Absent where no seed has a bitmap of the same examples, of two sequences or more, in both
  /// sets.
  std::optional<PairedDifference> operator()(std::span<const Record* const> first,
                                             std::span<const Record* const> second);

 private:
  const SequenceResamples& resamples(const std::vector<Index>& labels);

  RandomKey key_;
  int resamples_;
  std::map<std::vector<Index>, SequenceResamples> drawn_;
};

/// A note for tables where records do not say which labels are of one sequence, as older ones;
/// "" where all do.
std::string note_on_sequences(std::span<const Record> records);

/// Which test examples were right, from a record's hexadecimal digits: the first example is the
/// highest bit of the first word. Throws Error naming `source` on anything but such digits.
std::vector<std::uint64_t> right_examples(const std::string& digits, const std::string& source);

}  // namespace arena
