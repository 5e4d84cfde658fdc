// The default view: one grid per kind of number, one row per variant.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "results/units.hpp"
#include "results/views.hpp"

namespace arena {
namespace {

Grid speed_grid(const RecordSet& set, const Shape& shape) {
  const TimeGroup& longest = shape.back();
  Grid grid{.title = fmt::format("Speed: median ms ({})", longest.shape),
            .columns = {"variant"},
            .rows = {}};
  for (const TimeGroup& group : shape) grid.columns.push_back(fmt::format("{}", group.length));
  const std::vector<std::string> variants = variants_of(set, shape);
  std::vector<std::string> baselines;
  for (const char* name : {"dense", "blocked"}) {
    if (std::ranges::count(variants, name) > 0) baselines.emplace_back(name);
  }
  for (const std::string& name : baselines) {
    grid.columns.push_back(fmt::format("x {} at {}", name, longest.length));
  }
  for (const std::string& variant : variants) {
    std::vector<GridCell> row{words(variant)};
    for (const TimeGroup& group : shape) {
      const Record* record = record_of(set, group, variant);
      row.push_back(record ? or_status(*record, number(record->time_ns_median, kMillisecond))
                           : words("-"));
    }
    const Record* last = record_of(set, longest, variant);
    for (const std::string& name : baselines) {
      row.push_back(number(last ? longest.speed_up(*last, name) : std::nullopt));
    }
    grid.rows.push_back(std::move(row));
  }
  return grid;
}

Grid timing_memory_grid(const RecordSet& set, const Shape& shape) {
  const TimeGroup& longest = shape.back();
  Grid grid{.title = fmt::format("Memory at length {}: MiB beside inputs and outputs ({})",
                                 longest.length, longest.shape),
            .columns = {"variant", "workspace", "by formula", "process peak"},
            .rows = {}};
  for (const std::string& variant : variants_of(set, shape)) {
    const Record* record = record_of(set, longest, variant);
    if (!record) continue;
    grid.rows.push_back(
        {words(variant), or_status(*record, number(record->workspace_bytes, kMebibyte)),
         number(record->analytic_bytes, kMebibyte), number(record->rss_peak_bytes, kMebibyte)});
  }
  return grid;
}

Grid training_grid(const std::vector<SeedGroup>& groups, const std::vector<std::string>& variants,
                   const std::vector<std::string>& tasks) {
  Grid grid{.title = "Training: mean over seeds", .columns = {"variant"}, .rows = {}};
  for (const std::string& task : tasks) {
    grid.columns.push_back(task + " tokens/s");
    grid.columns.push_back(task + " MiB");
    grid.columns.push_back(task + " parameters");
  }
  for (const std::string& variant : variants) {
    std::vector<GridCell> row{words(variant)};
    for (const std::string& task : tasks) {
      const SeedGroup* group = group_of(groups, variant, task);
      row.push_back(group ? mean_cell(*group, &Record::tokens_per_s, 1) : words("-"));
      row.push_back(group ? mean_cell(*group, &Record::workspace_bytes, kMebibyte) : words("-"));
      row.push_back(group ? whole(group->records.front()->parameters) : words("-"));
    }
    grid.rows.push_back(std::move(row));
  }
  return grid;
}

}  // namespace

Tables summary_view(const RecordSet& set) {
  Tables tables;
  const std::vector<Shape> shapes = shapes_of(set);
  for (const Shape& shape : shapes) tables.grids.push_back(speed_grid(set, shape));
  for (const Shape& shape : shapes) tables.grids.push_back(timing_memory_grid(set, shape));
  const std::vector<SeedGroup> groups = seed_groups(set);
  if (!groups.empty()) {
    const std::vector<std::string> tasks = tasks_of(groups);
    const std::vector<std::string> variants = trained_variants(groups);
    tables.grids.push_back(training_grid(groups, variants, tasks));
    tables.grids.push_back(accuracy_grid(groups));
  }
  return tables;
}

}  // namespace arena
