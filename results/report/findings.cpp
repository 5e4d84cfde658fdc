// What the records show, in sentences, and what is to be held against them.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "results/paired.hpp"
#include "results/report/parts.hpp"
#include "results/statistics.hpp"
#include "results/units.hpp"

namespace arena {
namespace {

constexpr std::size_t kMostTasks = 3;
constexpr double kNoisy = 0.05;  // of a median

/// The shape that speaks first: a kernel's forward pass where there is one.
const Shape* first_shape(const std::vector<Shape>& shapes) {
  const auto forward = std::ranges::find_if(shapes, [](const Shape& shape) {
    const Record& record = *shape.front().records.front();
    return record.scope == "kernel" && record.pass == "forward" && !record.causal;
  });
  return forward != shapes.end() ? &*forward : shapes.empty() ? nullptr : &shapes.front();
}

std::string speed_finding(const RecordSet& set, const Shape& shape) {
  const TimeGroup& longest = shape.back();
  const Record* best = nullptr;
  for (const Record* record : longest.records) {
    if (!record->time_ns_median || record->status != "OK") continue;
    if (!best || *record->time_ns_median < *best->time_ns_median) best = record;
  }
  if (!best) return "";
  const std::string name = set.labels.variant(*best);
  const auto times = longest.speed_up(*best, kExact);
  if (!times || best->variant == kExact) {
    return fmt::format("At length {}, {} is the fastest of {}: {} ms ({}).", longest.length, name,
                       longest.records.size(), number(best->time_ns_median, kMillisecond).text,
                       longest.shape);
  }
  std::string text = fmt::format("At length {}, {} is {} times as fast as exact attention ({})",
                                 longest.length, name, number(times).text, kExact);
  const Record* exact = longest.baseline_of(*best, kExact);
  if (exact->workspace_bytes.value_or(0) > 0 && best->workspace_bytes) {
    text += fmt::format(", with {} times its workspace",
                        number(*best->workspace_bytes / *exact->workspace_bytes).text);
  }
  return text + ".";
}

std::string accuracy_finding(const std::string& task, const std::vector<const SeedGroup*>& groups) {
  const SeedGroup* best = nullptr;
  double highest = 0;
  std::optional<double> chance;
  for (const SeedGroup* group : groups) {
    const auto scores = group->values([](const Record& r) { return r.test_accuracy_best; });
    if (scores.empty()) continue;
    if (!best || mean(scores) > highest) best = group, highest = mean(scores);
    if (group->records.front()->chance_accuracy) chance = group->records.front()->chance_accuracy;
  }
  if (!best) return "";
  const std::size_t seeds = best->records.size();
  std::string text = fmt::format(
      "On {} the highest mean test accuracy of {} is {:.1f} % ({}, {} "
      "seed{}",
      task, groups.size(), highest / kPercent, best->variant, seeds, seeds == 1 ? "" : "s");
  if (chance) text += fmt::format("; chance is {:.1f} %", *chance / kPercent);
  return text + ").";
}

/// Share of the median, for each timing that has a spread.
std::vector<double> spreads(const RecordSet& set) {
  std::vector<double> all;
  for (const Record& record : set.records) {
    if (record.time_ns_mad && record.time_ns_median.value_or(0) > 0) {
      all.push_back(*record.time_ns_mad / *record.time_ns_median);
    }
  }
  return all;
}

template <class Of>
std::size_t count_distinct(const RecordSet& set, const Of& of) {
  std::set<std::string> all;
  for (const Record& record : set.records) all.insert(of(record));
  return all.size();
}

}  // namespace

std::vector<std::string> findings(const RecordSet& set) {
  std::vector<std::string> all;
  const std::vector<Shape> shapes = shapes_of(set);
  if (const Shape* shape = first_shape(shapes)) all.push_back(speed_finding(set, *shape));
  const std::vector<SeedGroup> groups = seed_groups(set);
  std::map<std::string, std::vector<const SeedGroup*>> by_task;
  for (const SeedGroup& group : groups) by_task[group.task].push_back(&group);
  std::size_t told = 0;
  for (const auto& [task, of_task] : by_task) {
    if (told++ < kMostTasks) all.push_back(accuracy_finding(task, of_task));
  }
  std::erase(all, "");
  if (all.empty()) all.emplace_back("No cell has a result yet.");
  return all;
}

std::vector<std::string> warnings(const RecordSet& set) {
  std::vector<std::string> all;
  const auto count = [&](auto&& wanted) { return std::ranges::count_if(set.records, wanted); };
  const auto warn = [&](std::ptrdiff_t found, const char* what) {
    if (found > 0) all.push_back(fmt::format("{} of {} {}", found, set.records.size(), what));
  };
  warn(count([&](const Record& r) { return set.is_stale(r); }),
       "records are stale: made by other code than today's.");
  warn(count([](const Record& r) { return r.git_dirty; }),
       "records come from sources with changes that were not committed.");
  warn(count([](const Record& r) { return r.partial; }),
       "records use a subset of their data set (PARTIAL).");
  static const std::set<std::string, std::less<>> results{"OK", "NOT_LEARNED", "UNSUPPORTED",
                                                          "NO_DATA"};
  warn(count([](const Record& r) { return !results.contains(r.status); }),
       "cells failed; each says why.");
  if (count_distinct(set, [](const Record& r) { return r.machine.cpu; }) > 1) {
    all.emplace_back("Records of several machines: their times do not compare.");
  }
  Index fewest = kSeedsForClaims;
  for (const SeedGroup& group : seed_groups(set)) {
    fewest = std::min(fewest, static_cast<Index>(group.records.size()));
  }
  if (fewest < kSeedsForClaims) {
    all.push_back(
        fmt::format("{} seed{} per cell at least: with fewer than {}, nothing is claimed "
                    "about seeds.",
                    fewest, fewest == 1 ? "" : "s", kSeedsForClaims));
  }
  const std::vector<double> spread = spreads(set);
  const auto noisy = std::ranges::count_if(spread, [](double s) { return s > kNoisy; });
  if (noisy > 0) {
    all.push_back(
        fmt::format("{} of {} timings vary by more than {:.0f} % (median distance from "
                    "the median): the machine was not quiet.",
                    noisy, spread.size(), kNoisy / kPercent));
  }
  return all;
}

}  // namespace arena
