#pragma once
// Is what was measured now worse than what was measured before?

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "results/bootstrap.hpp"
#include "results/grid.hpp"
#include "results/record.hpp"

namespace arena {

/// Changes that are smaller than these matter to nobody.
struct RelevantEffects {
  double time = 0.03;      // of the median
  double memory = 0.01;    // of the workspace, which is exact
  double accuracy = 0.01;  // absolute: one point of a hundred
};

enum class Verdict {
  kWorse,
  kBetter,
  kUnclear,    // neither a change nor its absence is shown
  kTooFew,     // too few repetitions or seeds to say anything
  kNotJudged,  // measured on different machines, or without its data
  kSame,       // a relevant change is ruled out
};
const char* verdict_text(Verdict verdict);

struct Comparison {
  std::string measure;                   // "time", "workspace", "resident", "accuracy"
  std::string cell;                      // "local, kernel forward ..., length 512"
  std::optional<double> base{}, next{};  // ns, bytes or a share, of the median or the mean
  std::optional<double> change{};        // next / base - 1; of accuracies next - base
  std::optional<Interval> interval{};    // of the change, 95 %
  std::optional<double> p{};             // by Holm's correction over all comparisons
  Verdict verdict = Verdict::kUnclear;
  std::string why{};
};

struct ComparisonResult {
  std::vector<Comparison> comparisons{};  // worst verdict first
  std::vector<std::string> notes{};

  bool regressed() const;
};

/// Compares cells with the same options and settings. Times: Mann and Whitney's test of the
/// repetitions and the bootstrap interval of the ratio of medians; of other machines they are not
/// judged. Accuracies: paired by seed and test sequence, or where bitmaps are missing by a
/// permutation test of the seeds. Memory: as it is. What only one side has is in the notes. Throws
/// Error when there is nothing in common.
ComparisonResult compare(std::span<const Record> base, std::span<const Record> next,
                         const RelevantEffects& effects);

/// One grid, a row per comparison, and the notes.
Tables comparison_tables(const ComparisonResult& result);

}  // namespace arena
