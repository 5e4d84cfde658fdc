// The speed view: how time grows with length, against the variant's own count of work and against
// exact attention.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "results/statistics.hpp"
#include "results/units.hpp"
#include "results/views.hpp"
#include "results/working_set.hpp"

namespace arena {
namespace {

constexpr double kSlopeTolerance = 0.1;  // of a time that grows as the flops do
constexpr double kConfidence = 0.95;
constexpr const char* kBaseline = "blocked";

constexpr const char* kSlopeNote =
    "slope: of log time against log of the variant's own flops over lengths, low and high: its 95 "
    "% interval; short: lengths left out of it, whose call takes less than 1 ms.";
constexpr const char* kBreakEvenNote =
    "beats blocked: from which length on it takes less time, between measured lengths by a line in "
    "log-log.";
constexpr const char* kWorkingSetNote =
    "working set: inputs, outputs and parameters, with a backward pass also their gradients, and "
    "the measured workspace.";

/// A variant of a shape: its record, or null, in each of the shape's groups.
struct Series {
  const Shape* shape;
  std::string variant;
  std::vector<const Record*> records;

  Series(const RecordSet& set, const Shape& of, std::string name)
      : shape(&of), variant(std::move(name)) {
    for (const TimeGroup& group : of) records.push_back(record_of(set, group, variant));
  }

  /// The baseline beside which the record at this place was measured; null where none was.
  const Record* baseline(std::size_t at) const {
    return records[at] ? (*shape)[at].baseline_of(*records[at], kBaseline) : nullptr;
  }

  /// Some number of the record over the same number of the baseline.
  std::optional<double> relative(std::size_t at, std::optional<double> Record::*member) const {
    const Record* const base = baseline(at);
    if (!base || !(records[at]->*member) || (base->*member).value_or(0) <= 0) return std::nullopt;
    return *(records[at]->*member) / *(base->*member);
  }
};

std::vector<Series> series_of(const RecordSet& set, const Shape& shape) {
  std::vector<Series> all;
  for (const std::string& variant : variants_of(set, shape)) all.emplace_back(set, shape, variant);
  return all;
}

/// How time grows with flops.
struct Slope {
  std::optional<double> value{}, low{}, high{};
  std::vector<const Record*> fitted{};  // by rising length
  std::vector<Index> left_out{};        // lengths whose call is too short to count

  /// Whether it is shown to be 1, but for the tolerance; without an interval: is it?
  bool as_expected() const {
    return low.value_or(*value) >= 1 - kSlopeTolerance &&
           high.value_or(*value) <= 1 + kSlopeTolerance;
  }
};

Slope slope_of(const Series& series) {
  Slope slope;
  std::vector<double> flops, times;
  for (const Record* record : series.records) {
    if (!record || !record->time_ns_median || record->flops.value_or(0) <= 0) continue;
    if (*record->time_ns_median < kMillisecond) {
      slope.left_out.push_back(record->length);
      continue;
    }
    slope.fitted.push_back(record);
    flops.push_back(std::log(*record->flops));
    times.push_back(std::log(*record->time_ns_median));
  }
  if (flops.size() < 2 || std::ranges::max(flops) == std::ranges::min(flops)) return slope;
  const Line line = fit_line(flops, times);
  slope.value = line.slope;
  if (line.freedom > 0) {
    const double half = student_t(kConfidence, line.freedom) * line.slope_error;
    slope.low = line.slope - half;
    slope.high = line.slope + half;
  }
  return slope;
}

/// "2.00 MiB at 1024 (in L2)".
std::string working_set_text(const Record& record) {
  const auto bytes = working_set_bytes(record);
  if (!bytes) return fmt::format("not measured at {}", record.length);
  const std::string cache = smallest_cache(record.machine, *bytes);
  return fmt::format("{} MiB at {}{}", number(bytes, kMebibyte).text, record.length,
                     cache.empty() ? "" : fmt::format(" (in {})", cache));
}

/// A slope that may not be 1, beside what may be the cause: the bytes that a call goes through at
/// both ends.
std::string exception_note(const Series& series, const Slope& slope) {
  const std::string interval =
      slope.low ? fmt::format(" ({:.3f} to {:.3f})", *slope.low, *slope.high) : "";
  const bool outside = std::abs(*slope.value - 1) > kSlopeTolerance;
  return fmt::format("{} ({}): slope {:.3f}{} {} within {:g} to {:g}; working set {}, {}.",
                     series.variant, series.shape->front().shape, *slope.value, interval,
                     outside ? "is not" : "may not be", 1 - kSlopeTolerance, 1 + kSlopeTolerance,
                     working_set_text(*slope.fitted.front()),
                     working_set_text(*slope.fitted.back()));
}

/// From which length on the series takes less time than the baseline: a number, or words where that
/// is not so at the longest.
GridCell break_even_cell(const Series& series) {
  std::vector<double> lengths, ratios;  // logarithms
  for (std::size_t at = 0; at < series.records.size(); ++at) {
    const auto ratio = series.relative(at, &Record::time_ns_median);
    if (!ratio || series.records[at] == series.baseline(at)) continue;
    lengths.push_back(std::log(static_cast<double>(series.records[at]->length)));
    ratios.push_back(std::log(*ratio));
  }
  if (ratios.empty()) return words("-");
  const bool ahead = ratios.back() < 0;
  if (const auto crossing = last_crossing(ratios)) {
    const double length = std::exp(crossing->at(lengths));
    return ahead ? whole(length) : words(fmt::format("only up to {:.0f}", length));
  }
  if (ahead) return words("always");
  return words(fmt::format("never up to {:.0f}", std::exp(lengths.back())));
}

std::vector<std::string> columns_of(const Shape& shape, const std::string& prefix) {
  std::vector<std::string> columns;
  for (const TimeGroup& group : shape) columns.push_back(fmt::format("{}{}", prefix, group.length));
  return columns;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

bool compares(const Series& series) {
  for (std::size_t at = 0; at < series.records.size(); ++at) {
    if (series.baseline(at)) return true;
  }
  return false;
}

Grid times_grid(const std::vector<Series>& all, const Shape& shape, bool compared) {
  Grid grid{.title = fmt::format("Speed: median ms ({})", shape.front().shape),
            .columns = {"variant"},
            .rows = {}};
  append(grid.columns, columns_of(shape, ""));
  append(grid.columns, {"slope", "low", "high", "short"});
  if (compared) grid.columns.emplace_back("beats blocked");
  for (const Series& series : all) {
    std::vector<GridCell> row{words(series.variant)};
    for (const Record* record : series.records) {
      row.push_back(record ? or_status(*record, number(record->time_ns_median, kMillisecond))
                           : words("-"));
    }
    const Slope slope = slope_of(series);
    for (const auto& value : {slope.value, slope.low, slope.high}) row.push_back(fixed(value, 3));
    row.push_back(
        words(slope.left_out.empty() ? "-" : fmt::format("{}", fmt::join(slope.left_out, " "))));
    if (compared) row.push_back(break_even_cell(series));
    grid.rows.push_back(std::move(row));
  }
  return grid;
}

Grid relative_grid(const std::vector<Series>& all, const Shape& shape) {
  Grid grid{
      .title = fmt::format("Time and flops as parts of those of blocked ({})", shape.front().shape),
      .columns = {"variant"},
      .rows = {}};
  append(grid.columns, columns_of(shape, "time "));
  append(grid.columns, columns_of(shape, "flops "));
  for (const Series& series : all) {
    std::vector<GridCell> row{words(series.variant)};
    for (const auto member : {&Record::time_ns_median, &Record::flops}) {
      for (std::size_t at = 0; at < series.records.size(); ++at) {
        row.push_back(number(series.relative(at, member)));
      }
    }
    grid.rows.push_back(std::move(row));
  }
  return grid;
}

/// A row per variant, a column per length: value(record), over `unit`.
template <class Value>
Grid grid_of(const std::string& title, const std::vector<Series>& all, const Shape& shape,
             const Value& value, double unit) {
  Grid grid{.title = title, .columns = {"variant"}, .rows = {}};
  append(grid.columns, columns_of(shape, ""));
  for (const Series& series : all) {
    std::vector<GridCell> row{words(series.variant)};
    for (const Record* record : series.records) {
      row.push_back(number(record ? value(*record) : std::nullopt, unit));
    }
    grid.rows.push_back(std::move(row));
  }
  return grid;
}

Grid peak_grid(const std::vector<Series>& all, const Shape& shape) {
  return grid_of(
      fmt::format("% of the peak multiply-add rate ({})", shape.front().shape), all, shape,
      [](const Record& record) { return record.share_of_peak; }, kPercent);
}

Grid working_set_grid(const std::vector<Series>& all, const Shape& shape) {
  const std::string caches = data_caches(shape.front().records.front()->machine);
  return grid_of(fmt::format("Working set in MiB ({}{})", shape.front().shape,
                             caches.empty() ? "" : "; " + caches),
                 all, shape, working_set_bytes, kMebibyte);
}

}  // namespace

Tables speed_view(const RecordSet& set) {
  Tables tables;
  bool any_compared = false;
  std::vector<std::string> exceptions;
  for (const Shape& shape : shapes_of(set)) {
    const std::vector<Series> all = series_of(set, shape);
    const bool compared = std::ranges::any_of(all, compares);
    tables.grids.push_back(times_grid(all, shape, compared));
    if (compared) tables.grids.push_back(relative_grid(all, shape));
    tables.grids.push_back(peak_grid(all, shape));
    tables.grids.push_back(working_set_grid(all, shape));
    any_compared = any_compared || compared;
    for (const Series& series : all) {
      const Slope slope = slope_of(series);
      if (slope.value && !slope.as_expected()) exceptions.push_back(exception_note(series, slope));
    }
  }
  if (tables.grids.empty()) return tables;
  tables.notes.emplace_back(kSlopeNote);
  if (any_compared) tables.notes.emplace_back(kBreakEvenNote);
  tables.notes.emplace_back(kWorkingSetNote);
  append(tables.notes, exceptions);
  return tables;
}

}  // namespace arena
