// The default view: one grid per kind of number, one row per variant.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "results/statistics.hpp"
#include "results/views.hpp"

namespace arena {
namespace {

constexpr double kPercent = 0.01;
constexpr double kMillisecond = 1e6;
constexpr double kMebibyte = 1 << 20;

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

/// In the order of `groups`, which is that of rows.
std::vector<std::string> trained_variants(const std::vector<SeedGroup>& groups) {
  std::vector<std::string> names;
  for (const SeedGroup& group : groups) {
    if (names.empty() || names.back() != group.variant) names.push_back(group.variant);
  }
  return names;
}

std::vector<std::string> tasks_of(const std::vector<SeedGroup>& groups) {
  std::set<std::string> tasks;
  for (const SeedGroup& group : groups) tasks.insert(group.task);
  return {tasks.begin(), tasks.end()};
}

const SeedGroup* group_of(const std::vector<SeedGroup>& groups, const std::string& variant,
                          const std::string& task) {
  const auto found = std::ranges::find_if(groups, [&](const SeedGroup& group) {
    return group.variant == variant && group.task == task;
  });
  return found == groups.end() ? nullptr : &*found;
}

/// One row per baseline name: chance first, then every shortcut; what scores must beat.
void add_baselines(const std::vector<SeedGroup>& groups, const std::vector<std::string>& tasks,
                   Grid& grid) {
  std::map<std::string, std::map<std::string, double>> by_name;  // baseline -> task -> accuracy
  std::map<std::string, std::vector<double>> chance;
  for (const SeedGroup& group : groups) {
    for (const Record* record : group.records) {
      if (record->chance_accuracy) chance[group.task].push_back(*record->chance_accuracy);
      for (const auto& [name, accuracy] : record->shortcut_accuracy) {
        by_name[name][group.task] = accuracy;
      }
    }
  }
  const auto add = [&](const std::string& name, auto&& accuracy_on) {
    std::vector<GridCell> row{words("(" + name + ")")};
    for (const std::string& task : tasks) {
      const std::optional<double> accuracy = accuracy_on(task);
      row.push_back(accuracy ? fixed(*accuracy / kPercent, 1) : words("-"));
    }
    grid.rows.push_back(std::move(row));
  };
  if (!chance.empty()) {
    add("chance", [&](const std::string& task) {
      return chance.contains(task) ? std::optional(mean(chance[task])) : std::nullopt;
    });
  }
  for (const auto& baseline : by_name) {
    add(baseline.first, [&](const std::string& task) {
      const auto& accuracies = baseline.second;
      return accuracies.contains(task) ? std::optional(accuracies.at(task)) : std::nullopt;
    });
  }
}

Grid accuracy_grid(const std::vector<SeedGroup>& groups, const std::vector<std::string>& variants,
                   const std::vector<std::string>& tasks) {
  Grid grid{.title =
                "Accuracy: % of the test split, weights best on validation; mean ± standard "
                "deviation over seeds",
            .columns = {"variant"},
            .rows = {}};
  for (const std::string& task : tasks) grid.columns.push_back(task);
  for (const std::string& variant : variants) {
    std::vector<GridCell> row{words(variant)};
    for (const std::string& task : tasks) {
      const SeedGroup* group = group_of(groups, variant, task);
      row.push_back(group ? accuracy_cell(*group, &Record::test_accuracy_best) : words("-"));
    }
    grid.rows.push_back(std::move(row));
  }
  add_baselines(groups, tasks, grid);
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
    tables.grids.push_back(accuracy_grid(groups, variants, tasks));
  }
  return tables;
}

}  // namespace arena
