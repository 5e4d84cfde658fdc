#include "results/compare.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/core/check.hpp"
#include "results/hypothesis.hpp"
#include "results/labels.hpp"
#include "results/paired.hpp"
#include "results/statistics.hpp"

namespace arena {
namespace {

constexpr double kAlpha = 0.05, kConfidence = 0.95;
constexpr std::size_t kFewestRepetitions = 5;  // with 4 of each, p is never below 2.8 %
constexpr double kResidentEffect = 0.1;        // one measurement, of pages and of the libraries
constexpr std::size_t kMostNamed = 5;          // cells in a note

/// Records of one cell; a training has one per seed.
using Cell = std::vector<const Record*>;
using Cells = std::map<std::string, Cell>;

Cells cells_of(std::span<const Record> records, const Labels& labels) {
  Cells cells;
  for (const Record& record : records) {
    std::string name = labels.variant(record);
    if (record.kind == "train") {
      name += " on " + labels.task(record);
    } else if (!record.scope.empty()) {
      name += fmt::format(", {}, length {}", labels.shape(record), record.length);
    }
    cells[name].push_back(&record);
  }
  return cells;
}

std::string machine_text(const Record& record) {
  return fmt::format("{}, {} cores", record.machine.cpu, record.machine.cores);
}

/// A value that was there and is gone is a loss, unless its data are only missing here.
std::optional<Comparison> without_value(Comparison row, const Record& base, const Record& next) {
  if (row.base && row.next) return std::nullopt;
  if (!row.base && !row.next) return std::nullopt;
  const Record& missing = row.base ? next : base;
  row.verdict = missing.status == "NO_DATA" || missing.status == "OK" ? Verdict::kNotJudged
                : row.base                                            ? Verdict::kWorse
                                                                      : Verdict::kBetter;
  row.why = fmt::format("{} {}", row.base ? "now" : "was", missing.status);
  return row;
}

double ratio_of_medians(const Samples& samples) {
  return median(samples[1]) / median(samples[0]);
}

Comparison compare_time(const std::string& cell, const Record& base, const Record& next) {
  Comparison row{
      .measure = "time", .cell = cell, .base = base.time_ns_median, .next = next.time_ns_median};
  if (const auto lost = without_value(row, base, next)) return *lost;
  row.change = *row.next / *row.base - 1;
  if (machine_text(base) != machine_text(next)) {
    row.verdict = Verdict::kNotJudged;
    row.why = fmt::format("other machine: {} was {}", machine_text(next), machine_text(base));
    return row;
  }
  if (std::min(base.time_ns.size(), next.time_ns.size()) < kFewestRepetitions) {
    row.verdict = Verdict::kTooFew;
    row.why = fmt::format("{} and {} repetitions, {} are needed", base.time_ns.size(),
                          next.time_ns.size(), kFewestRepetitions);
    return row;
  }
  row.p = mann_whitney(base.time_ns, next.time_ns).p;
  const Interval ratio = bootstrap_interval({base.time_ns, next.time_ns}, ratio_of_medians,
                                            kConfidence, RandomKey(0).fold(cell));
  row.interval = {.low = ratio.low - 1, .high = ratio.high - 1};
  return row;
}

Comparison compare_memory(const std::string& cell, const std::string& measure,
                          std::optional<double> base, std::optional<double> next, double effect) {
  Comparison row{.measure = measure, .cell = cell, .base = base, .next = next};
  row.change = *next / *base - 1;
  row.verdict = *row.change > effect    ? Verdict::kWorse
                : *row.change < -effect ? Verdict::kBetter
                                        : Verdict::kSame;
  return row;
}

std::optional<double> most_of(const Cell& cell, std::optional<double> Record::*member) {
  std::optional<double> most;
  for (const Record* record : cell) {
    if (record->*member) most = std::max(most.value_or(0), *(record->*member));
  }
  return most.value_or(0) > 0 ? most : std::nullopt;
}

std::vector<double> accuracies_of(const Cell& cell) {
  std::vector<double> values;
  for (const Record* record : cell) {
    if (record->test_accuracy_best) values.push_back(*record->test_accuracy_best);
  }
  return values;
}

double difference_of_means(const Samples& samples) {
  return mean(samples[1]) - mean(samples[0]);
}

/// Without bitmaps, or without a seed in common: seeds against seeds.
void compare_seeds(const std::vector<double>& base, const std::vector<double>& next,
                   Comparison& row) {
  row.why = fmt::format("{} and {} seeds, not paired", base.size(), next.size());
  if (static_cast<Index>(std::min(base.size(), next.size())) < kSeedsForClaims) {
    row.verdict = Verdict::kTooFew;
    row.why += fmt::format(", {} are needed", kSeedsForClaims);
    return;
  }
  const RandomKey key = RandomKey(0).fold(row.cell);
  row.p = permutation_test(base, next, key);
  row.interval = bootstrap_interval({base, next}, difference_of_means, kConfidence, key);
}

Comparison compare_accuracy(const std::string& name, const Cell& base, const Cell& next,
                            PairedComparison& paired) {
  Comparison row{.measure = "accuracy", .cell = name};
  const std::vector<double> before = accuracies_of(base), after = accuracies_of(next);
  if (!before.empty()) row.base = mean(before);
  if (!after.empty()) row.next = mean(after);
  if (const auto lost = without_value(row, *base.front(), *next.front())) return *lost;
  const auto difference = paired(base, next);
  if (!difference) {
    row.change = *row.next - *row.base;
    compare_seeds(before, after, row);
    return row;
  }
  row.change = difference->value;
  row.interval = difference->interval;
  row.p = difference->p;
  if (difference->about_seeds()) return row;
  row.verdict = Verdict::kTooFew;  // unless its examples alone say something about these seeds
  row.why = fmt::format("about {} seed{} only, {} are needed for any", difference->seeds,
                        difference->seeds == 1 ? "" : "s", kSeedsForClaims);
  return row;
}

/// Judges what has an interval, once its p is corrected. A rising time and a falling accuracy are
/// worse.
void judge(const RelevantEffects& effects, Comparison& row) {
  if (!row.interval) return;
  const bool of_time = row.measure == "time";
  const double effect = of_time ? effects.time : effects.accuracy;
  const double lowest = of_time ? 1 / (1 + effect) - 1 : -effect;
  const bool relevant = *row.change >= effect || *row.change <= lowest;
  if (*row.p < kAlpha && relevant && !row.interval->holds(0)) {
    row.verdict = (*row.change > 0) == of_time ? Verdict::kWorse : Verdict::kBetter;
    return;
  }
  const bool identical = row.interval->low == 0 && row.interval->high == 0;
  if (identical || (row.verdict != Verdict::kTooFew && row.interval->low > lowest &&
                    row.interval->high < effect)) {
    row.verdict = Verdict::kSame;
  }
}

void correct_for_many(std::vector<Comparison>& rows) {
  std::vector<double> p_values;
  for (const Comparison& row : rows) {
    if (row.p) p_values.push_back(*row.p);
  }
  const std::vector<double> corrected = holm(p_values);
  auto next = corrected.begin();
  for (Comparison& row : rows) {
    if (row.p) row.p = *next++;
  }
}

void note_missing(const Cells& here, const Cells& there, const char* side,
                  std::vector<std::string>& notes) {
  std::vector<std::string> names;
  for (const auto& [name, cell] : here) {
    if (!there.contains(name)) names.push_back(name);
  }
  if (names.empty()) return;
  const std::size_t count = names.size();
  names.resize(std::min(count, kMostNamed));
  notes.push_back(fmt::format("Only in {} ({}): {}{}.", side, count, fmt::join(names, "; "),
                              count > kMostNamed ? "; ..." : ""));
}

/// Where all times moved together, it may be the machine.
void note_common_shift(const std::vector<Comparison>& rows, std::vector<std::string>& notes) {
  std::vector<double> changes;
  for (const Comparison& row : rows) {
    if (row.measure == "time" && row.interval) changes.push_back(*row.change);
  }
  if (changes.size() < 3) return;
  notes.push_back(
      fmt::format("Median change of {} times: {:+.1f} %. Where all move together, suspect the "
                  "machine before the code.",
                  changes.size(), 100 * median(changes)));
}

void add_rows(const std::string& name, const Cell& base, const Cell& next,
              const RelevantEffects& effects, PairedComparison& paired,
              std::vector<Comparison>& rows) {
  if (base.front()->kind == "train") {
    rows.push_back(compare_accuracy(name, base, next, paired));
  } else {
    rows.push_back(compare_time(name, *base.front(), *next.front()));
  }
  if (!rows.back().base && !rows.back().next) rows.pop_back();  // a failure on both sides
  const auto memory = [&](const char* measure, std::optional<double> Record::*member,
                          double effect) {
    const auto before = most_of(base, member), after = most_of(next, member);
    if (before && after) rows.push_back(compare_memory(name, measure, before, after, effect));
  };
  memory("workspace", &Record::workspace_bytes, effects.memory);
  memory("resident", &Record::rss_peak_bytes, std::max(kResidentEffect, effects.memory));
}

}  // namespace

const char* verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWorse:
      return "WORSE";
    case Verdict::kBetter:
      return "better";
    case Verdict::kUnclear:
      return "unclear";
    case Verdict::kTooFew:
      return "too few";
    case Verdict::kNotJudged:
      return "not judged";
    case Verdict::kSame:
      return "same";
  }
  return "";
}

bool ComparisonResult::regressed() const {
  return std::ranges::count(comparisons, Verdict::kWorse, &Comparison::verdict) > 0;
}

ComparisonResult compare(std::span<const Record> base, std::span<const Record> next,
                         const RelevantEffects& effects) {
  std::vector<Record> all(base.begin(), base.end());
  all.insert(all.end(), next.begin(), next.end());
  for (Record& record : all) record.machine = {};  // so that names do not tell machines apart
  const Labels labels(all);                        // the same on both sides
  const Cells before = cells_of(base, labels), after = cells_of(next, labels);
  ComparisonResult result;
  PairedComparison paired{RandomKey(0)};
  bool in_common = false;
  for (const auto& [name, cell] : before) {
    const auto same = after.find(name);
    if (same == after.end()) continue;
    in_common = true;
    add_rows(name, cell, same->second, effects, paired, result.comparisons);
  }
  check(in_common, "nothing to compare: no cell of BASE ({}, ...) is in NEW ({}, ...)",
        before.empty() ? "none" : before.begin()->first,
        after.empty() ? "none" : after.begin()->first);
  correct_for_many(result.comparisons);
  for (Comparison& row : result.comparisons) judge(effects, row);
  std::ranges::stable_sort(result.comparisons, {}, &Comparison::verdict);
  note_common_shift(result.comparisons, result.notes);
  const std::string note = note_on_sequences(all);
  if (!note.empty()) result.notes.push_back(note);
  note_missing(before, after, "BASE", result.notes);
  note_missing(after, before, "NEW", result.notes);
  return result;
}

}  // namespace arena
