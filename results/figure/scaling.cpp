// Time, memory and error over length, one figure each per shape.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "results/figure/figure.hpp"
#include "results/statistics.hpp"
#include "results/units.hpp"

namespace arena {
namespace {

constexpr double kGuideRoom = 1.5;  // as a factor: guides start below the lowest mark

/// What one figure shows of a record; nothing where the record has no such number.
using Measure = std::optional<Mark> (*)(const Record&);

Mark at_length(const Record& record, double y) {
  return {.x = static_cast<double>(record.length), .y = y};
}

std::optional<Mark> time_mark(const Record& record) {
  const double median = record.time_ns_median.value_or(0) / kMillisecond;
  if (median <= 0) return std::nullopt;
  Mark mark = at_length(record, median);
  mark.words = fmt::format("{} ms at {}", number(median).text, record.length);
  if (record.time_ns.empty()) return mark;
  mark.low = quantile(record.time_ns, 0.25) / kMillisecond;
  mark.high = quantile(record.time_ns, 0.75) / kMillisecond;
  mark.words += fmt::format("\nhalf of {} repetitions: {} to {} ms", record.time_ns.size(),
                            number(mark.low).text, number(mark.high).text);
  if (record.share_of_peak) {
    mark.words += fmt::format("\n{} % of peak", number(record.share_of_peak, 0.01).text);
  }
  return mark;
}

std::optional<Mark> memory_mark(const Record& record) {
  if (record.workspace_bytes.value_or(0) <= 0) return std::nullopt;
  Mark mark = at_length(record, *record.workspace_bytes / kMebibyte);
  mark.words = fmt::format("{} MiB at {}", number(mark.y).text, record.length);
  if (record.analytic_bytes) {
    mark.words +=
        fmt::format("\nby formula: {} MiB", number(record.analytic_bytes, kMebibyte).text);
  }
  if (record.rss_peak_bytes) {
    mark.words +=
        fmt::format("\nprocess peak: {} MiB", number(record.rss_peak_bytes, kMebibyte).text);
  }
  return mark;
}

std::optional<Mark> error_mark(const Record& record) {
  if (record.max_error.value_or(0) <= 0) return std::nullopt;
  Mark mark = at_length(record, *record.max_error);
  mark.words = fmt::format("{:.1e} at {}", mark.y, record.length);
  return mark;
}

std::vector<Series> series_of(const RecordSet& set, const Shape& shape, Measure measure) {
  const auto looks = looks_of(set);
  std::vector<Series> all;
  for (const std::string& variant : variants_of(set, shape)) {
    Series series{.name = variant, .look = looks.at(variant)};
    for (const TimeGroup& group : shape) {
      const Record* const record = record_of(set, group, variant);
      auto mark = record ? measure(*record) : std::nullopt;
      if (!mark) continue;
      mark->words = variant + "\n" + mark->words;
      series.marks.push_back(std::move(*mark));
    }
    if (!series.marks.empty()) all.push_back(std::move(series));
  }
  return all;
}

/// Of growth with a power of length, from below all marks at the shortest length to the longest, or
/// to where it leaves the top.
Guide growth(const std::string& name, double power, const std::vector<Index>& lengths,
             const Axis& y) {
  constexpr double kHighest = 0.97;  // of the axis
  const auto [shortest, longest] = std::ranges::minmax(lengths);
  const auto from = static_cast<double>(shortest);
  const double start = y.low * kGuideRoom, top = y.low * std::pow(y.high / y.low, kHighest);
  const double to = std::min(static_cast<double>(longest), from * std::pow(top / start, 1 / power));
  return {
      .name = name, .x = from, .y = start, .to_x = to, .to_y = start * std::pow(to / from, power)};
}

/// Where a variant gets faster than exact attention beside it and stays so up to the longest
/// length, on the line from mark to mark.
std::optional<Mark> break_even(const RecordSet& set, const Shape& shape,
                               const std::string& variant) {
  std::vector<double> lengths, times, ratios;  // logarithms; ratios: time over exact time
  for (const TimeGroup& group : shape) {
    const Record* const record = record_of(set, group, variant);
    const auto speed_up = record ? group.speed_up(*record, kExact) : std::nullopt;
    if (!speed_up || group.baseline_of(*record, kExact) == record) continue;
    lengths.push_back(std::log(static_cast<double>(group.length)));
    times.push_back(std::log(*record->time_ns_median / kMillisecond));
    ratios.push_back(-std::log(*speed_up));
  }
  const auto crossing = last_crossing(ratios);
  if (!crossing || ratios.back() >= 0) return std::nullopt;
  Mark ring{.x = std::exp(crossing->at(lengths)), .y = std::exp(crossing->at(times))};
  ring.words = fmt::format("{}\nbeats {} from length {:.0f} on", variant, kExact, ring.x);
  return ring;
}

std::vector<Mark> break_even_rings(const RecordSet& set, const Shape& shape) {
  std::vector<Mark> rings;
  for (const std::string& variant : variants_of(set, shape)) {
    if (auto ring = break_even(set, shape, variant)) rings.push_back(std::move(*ring));
  }
  return rings;
}

std::vector<double> heights(const std::vector<Series>& all) {
  std::vector<double> values;
  for (const Series& series : all) {
    for (const Mark& mark : series.marks) {
      values.push_back(mark.low.value_or(mark.y));
      values.push_back(mark.high.value_or(mark.y));
    }
  }
  return values;
}

std::vector<double> with_room_below(std::vector<double> values) {
  values.push_back(std::ranges::min(values) / kGuideRoom);
  return values;
}

struct Subject {
  const char* id;
  const char* title;
  const char* axis;
  Measure measure;
  const char* caption;
};

constexpr const char* kTimeCaption =
    "Median time of a call; bars hold the middle half of the repetitions. Both axes are "
    "logarithmic: a straight line is a power of the length, and the grey ones show how N and N² "
    "grow. A ring marks the length from which on a variant beats blocked, which is exact.";
constexpr const char* kMemoryCaption =
    "Workspace: what a call needs beside inputs and outputs, counted exactly. Grey lines: how N "
    "and N² grow.";
constexpr const char* kErrorCaption =
    "Largest difference between what was timed and the variant's own formula in double precision, "
    "as a part of the largest output: rounding, not how well it approximates softmax attention.";

std::optional<Figure> scaling_figure(const RecordSet& set, const Shape& shape,
                                     const Subject& subject) {
  std::vector<Series> all = series_of(set, shape, subject.measure);
  if (all.empty()) return std::nullopt;
  std::vector<Index> lengths;
  for (const TimeGroup& group : shape) lengths.push_back(group.length);
  Figure figure{.id = fmt::format("{}_{}_{}", subject.id, shape.front().records.front()->scope,
                                  shape.front().records.front()->pass),
                .title = fmt::format("{}: {}", subject.title, shape.front().shape),
                .caption = subject.caption,
                .x = length_axis(lengths),
                .y = axis_around(subject.axis, true, heights(all))};
  if (subject.measure != error_mark && lengths.size() > 1) {
    figure.y = axis_around(subject.axis, true, with_room_below(heights(all)));
    figure.guides = {growth("N", 1, lengths, figure.y), growth("N²", 2, lengths, figure.y)};
  }
  if (subject.measure == time_mark) figure.rings = break_even_rings(set, shape);
  figure.series = std::move(all);
  return figure;
}

bool same_marks(const Figure& a, const Figure& b) {
  return std::ranges::equal(a.series, b.series, [](const Series& s, const Series& t) {
    return s.name == t.name && std::ranges::equal(s.marks, t.marks, {}, &Mark::y, &Mark::y);
  });
}

}  // namespace

std::vector<Figure> scaling_figures(const RecordSet& set) {
  static constexpr std::array<Subject, 3> kSubjects{
      {{"time", "Time over length", "median time in ms", time_mark, kTimeCaption},
       {"memory", "Memory over length", "workspace in MiB", memory_mark, kMemoryCaption},
       {"error", "Error over length", "largest relative error", error_mark, kErrorCaption}}};
  std::vector<Figure> figures;
  const std::vector<Shape> shapes = shapes_of(set);
  for (const Subject& subject : kSubjects) {
    for (const Shape& shape : shapes) {
      auto figure = scaling_figure(set, shape, subject);
      // The passes of a shape share one check of its errors.
      const bool shown = figure && std::ranges::any_of(figures, [&](const Figure& other) {
                           return other.y.label == figure->y.label && same_marks(other, *figure);
                         });
      if (figure && !shown) figures.push_back(std::move(*figure));
    }
  }
  return figures;
}

}  // namespace arena
