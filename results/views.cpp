#include "results/views.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "results/statistics.hpp"
#include "results/units.hpp"

namespace arena {
namespace {

constexpr double kGiga = 1e9;

/// "1 of 3 CRASHED", "2 of 2 NOT_LEARNED"; "" when all are OK.
std::string status_remark(const SeedGroup& group) {
  std::map<std::string, int> counts;
  for (const Record* record : group.records) ++counts[record->status];
  counts.erase("OK");
  std::vector<std::string> parts;
  for (const auto& [status, count] : counts) {
    parts.push_back(static_cast<std::size_t>(count) == group.records.size()
                        ? status
                        : fmt::format("{} of {} {}", count, group.records.size(), status));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string shortcuts_text(const Record& record) {
  std::vector<std::string> parts;
  for (const auto& [name, accuracy] : record.shortcut_accuracy) {
    parts.push_back(fmt::format("{} {:.1f}", name, accuracy / kPercent));
  }
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

/// Of the sequences that models wrote by themselves, how many are right from the first token to the
/// end mark.
GridCell sequence_cell(const SeedGroup& group) {
  const auto values = group.values([](const Record& record) {
    const auto found = record.metrics.find("test_sequence_accuracy");
    return found == record.metrics.end() ? std::nullopt : std::optional(found->second);
  });
  return values.empty() ? words("-") : fixed(mean(values) / kPercent, 1);
}

std::string stale_word(const RecordSet& set, const Record& record) {
  return set.is_stale(record) ? "stale" : "";
}

}  // namespace

std::vector<Record> newest_of_each(std::span<const Record> records) {
  std::map<std::pair<std::string, std::string>, const Record*> newest;
  for (const Record& record : records) {
    const Record*& kept = newest[{record.id, record.kind == "bench" ? record.machine.cpu : ""}];
    if (!kept || kept->date < record.date) kept = &record;
  }
  std::vector<Record> result;
  for (const auto& [key, record] : newest) result.push_back(*record);
  return result;
}

std::vector<double> SeedGroup::values(
    const std::function<std::optional<double>(const Record&)>& of) const {
  std::vector<double> found;
  for (const Record* record : records) {
    if (const auto value = of(*record)) found.push_back(*value);
  }
  return found;
}

std::vector<SeedGroup> seed_groups(const RecordSet& set) {
  std::vector<SeedGroup> groups;
  for (const Record& record : set.records) {
    if (record.kind != "train") continue;
    const std::string variant = set.labels.variant(record);
    const std::string task = set.labels.task(record);
    auto found = std::ranges::find_if(groups, [&](const SeedGroup& group) {
      return group.variant == variant && group.task == task;
    });
    if (found == groups.end()) found = groups.insert(found, {variant, task, {}});
    found->records.push_back(&record);
  }
  std::ranges::sort(groups, [](const SeedGroup& a, const SeedGroup& b) {
    return a.variant == b.variant ? a.task < b.task : variant_before(a.variant, b.variant);
  });
  for (SeedGroup& group : groups) {  // sums have one order, wherever records come from
    std::ranges::stable_sort(group.records, {}, &Record::seed);
  }
  return groups;
}

GridCell accuracy_cell(const SeedGroup& group, std::optional<double> Record::*member) {
  const auto values = group.values([&](const Record& record) { return record.*member; });
  const std::string remark = status_remark(group);
  if (values.empty()) return words(remark.empty() ? "-" : remark);
  GridCell cell = fixed(mean(values) / kPercent, 1);
  if (values.size() > 1) cell.deviation = fixed(sample_deviation(values) / kPercent, 1).text;
  cell.remark = remark;
  return cell;
}

GridCell mean_cell(const SeedGroup& group, std::optional<double> Record::*member, double per_unit) {
  const auto values = group.values([&](const Record& record) { return record.*member; });
  if (!values.empty()) return number(mean(values), per_unit);
  const std::string remark = status_remark(group);
  return words(remark.empty() ? "-" : remark);
}

const Record* TimeGroup::baseline_of(const Record& record, const std::string& name) const {
  const auto found = std::ranges::find_if(records, [&](const Record* other) {
    const bool plain = other->precision.empty() || other->precision == "float32";
    return other->variant == name && other->group == record.group && plain;
  });
  return found == records.end() ? nullptr : *found;
}

std::optional<double> TimeGroup::speed_up(const Record& record, const std::string& baseline) const {
  const Record* const other = baseline_of(record, baseline);
  if (!other || !other->time_ns_median || record.time_ns_median.value_or(0) <= 0) {
    return std::nullopt;
  }
  return *other->time_ns_median / *record.time_ns_median;
}

std::vector<TimeGroup> time_groups(const RecordSet& set) {
  std::map<std::tuple<std::string, Index>, TimeGroup> groups;
  for (const Record& record : set.records) {
    if (record.kind != "bench") continue;
    const std::string shape = set.labels.shape(record);
    TimeGroup& group = groups[{shape, record.length}];
    group.shape = shape;
    group.length = record.length;
    group.records.push_back(&record);
  }
  std::vector<TimeGroup> sorted;
  for (auto& [key, group] : groups) {
    std::ranges::stable_sort(group.records, [&](const Record* a, const Record* b) {
      return variant_before(set.labels.variant(*a), set.labels.variant(*b));
    });
    sorted.push_back(std::move(group));
  }
  return sorted;
}

std::vector<Shape> shapes_of(const RecordSet& set) {
  std::vector<Shape> shapes;
  for (TimeGroup& group : time_groups(set)) {
    if (shapes.empty() || shapes.back().front().shape != group.shape) shapes.emplace_back();
    shapes.back().push_back(std::move(group));
  }
  return shapes;
}

std::vector<std::string> variants_of(const RecordSet& set, const Shape& shape) {
  std::vector<std::string> names;
  for (const TimeGroup& group : shape) {
    for (const Record* record : group.records) {
      const std::string name = set.labels.variant(*record);
      if (std::ranges::count(names, name) == 0) names.push_back(name);
    }
  }
  std::ranges::sort(names, variant_before);
  return names;
}

const Record* record_of(const RecordSet& set, const TimeGroup& group, const std::string& variant) {
  const auto found = std::ranges::find_if(
      group.records, [&](const Record* record) { return set.labels.variant(*record) == variant; });
  return found == group.records.end() ? nullptr : *found;
}

GridCell or_status(const Record& record, GridCell cell) {
  return cell.number || record.status == "OK" ? std::move(cell) : words(record.status);
}

Tables trainings_view(const RecordSet& set) {
  Grid grid{
      .title = "",
      .columns = {"variant", "task", "seeds", "test_accuracy_percent", "test_accuracy_last_percent",
                  "test_sequences_percent", "validation_accuracy_percent", "chance_percent",
                  "shortcuts_percent", "parameters", "tokens_per_s", "wall_s", "track"},
      .rows = {}};
  for (const SeedGroup& group : seed_groups(set)) {
    const Record& first = *group.records.front();
    const auto chance = group.values([](const Record& r) { return r.chance_accuracy; });
    grid.rows.push_back(
        {words(group.variant), words(group.task), whole(static_cast<double>(group.records.size())),
         accuracy_cell(group, &Record::test_accuracy_best),
         accuracy_cell(group, &Record::test_accuracy_last), sequence_cell(group),
         accuracy_cell(group, &Record::validation_accuracy_best),
         chance.empty() ? words("-") : fixed(mean(chance) / kPercent, 1),
         words(shortcuts_text(first)), whole(first.parameters),
         mean_cell(group, &Record::tokens_per_s, 1), mean_cell(group, &Record::wall_s, 1),
         words(first.track.empty() ? "-" : first.track)});
  }
  return {.grids = {grid}, .notes = {}};
}

Tables timings_view(const RecordSet& set) {
  Grid grid{
      .title = "",
      .columns = {"variant", "shape", "length", "median_ms", "mad_ms", "cold_ms", "repetitions",
                  "gflop_per_s", "share_of_peak_percent", "share_of_l1_percent", "times_dense",
                  "times_blocked", "max_error", "status", "stale"},
      .rows = {}};
  for (const TimeGroup& group : time_groups(set)) {
    for (const Record* record : group.records) {
      grid.rows.push_back(
          {words(set.labels.variant(*record)), words(group.shape),
           whole(static_cast<double>(group.length)), number(record->time_ns_median, kMillisecond),
           number(record->time_ns_mad, kMillisecond), number(record->time_ns_cold, kMillisecond),
           whole(static_cast<double>(record->time_ns.size())), number(record->flops_per_s, kGiga),
           number(record->share_of_peak, kPercent), number(record->share_of_l1, kPercent),
           number(group.speed_up(*record, "dense")), number(group.speed_up(*record, "blocked")),
           number(record->max_error), words(record->status), words(stale_word(set, *record))});
    }
  }
  return {.grids = {grid}, .notes = {}};
}

Tables memory_view(const RecordSet& set) {
  Grid grid{.title = "",
            .columns = {"variant", "of", "length", "workspace_mib", "analytic_mib", "rss_peak_mib",
                        "parameters", "status"},
            .rows = {}};
  for (const TimeGroup& group : time_groups(set)) {
    for (const Record* record : group.records) {
      grid.rows.push_back(
          {words(set.labels.variant(*record)), words(group.shape),
           whole(static_cast<double>(group.length)), number(record->workspace_bytes, kMebibyte),
           number(record->analytic_bytes, kMebibyte), number(record->rss_peak_bytes, kMebibyte),
           whole(record->parameters), words(record->status)});
    }
  }
  for (const SeedGroup& group : seed_groups(set)) {
    const Record& first = *group.records.front();
    grid.rows.push_back({words(group.variant), words("training on " + group.task), words("-"),
                         mean_cell(group, &Record::workspace_bytes, kMebibyte),
                         mean_cell(group, &Record::analytic_bytes, kMebibyte),
                         mean_cell(group, &Record::rss_peak_bytes, kMebibyte),
                         whole(first.parameters), words(first.status)});
  }
  return {.grids = {grid}, .notes = {}};
}

Tables records_view(const RecordSet& set) {
  Grid grid{.title = "",
            .columns = {"id", "kind", "variant", "what", "seed", "threads", "length", "status",
                        "value", "unit", "date", "stale", "error"},
            .rows = {}};
  for (const Record& record : set.records) {
    const bool training = record.kind == "train";
    GridCell value = training ? number(record.test_accuracy_best, kPercent)
                              : number(record.time_ns_median, kMillisecond);
    grid.rows.push_back({words(record.id), words(record.kind), words(set.labels.variant(record)),
                         words(training ? set.labels.task(record) : set.labels.shape(record)),
                         training ? whole(static_cast<double>(record.seed)) : words("-"),
                         whole(static_cast<double>(record.threads)),
                         record.length > 0 ? whole(static_cast<double>(record.length)) : words("-"),
                         words(record.status), std::move(value), words(training ? "%" : "ms"),
                         words(record.date), words(stale_word(set, record)), words(record.error)});
  }
  return {.grids = {grid}, .notes = {}};
}

}  // namespace arena
