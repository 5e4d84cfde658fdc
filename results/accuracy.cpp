// The accuracy view: one row per variant, one column per task, Long Range Arena's tasks first.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "results/paired.hpp"
#include "results/published_lra.hpp"
#include "results/statistics.hpp"
#include "results/units.hpp"
#include "results/views.hpp"

namespace arena {
namespace {

constexpr const char* kMarkNote =
    "Bold or *: best mean of its column. ≈: not to be told from it: the 95 % interval of the "
    "difference holds 0, by a bootstrap paired by seed and test sequence, over sequences and, with "
    "5 "
    "seeds or more, over seeds.";
constexpr const char* kAverageNote =
    "avg5: listops, text, retrieval, image and pathfinder; avg6: these and pathx. Never compare "
    "one "
    "with the other.";

/// Place of a task in Long Range Arena's order; others come after all of those.
std::size_t lra_place(const std::string& task) {
  return static_cast<std::size_t>(std::ranges::find(kLraTasks, task) - kLraTasks.begin());
}

/// Labels of tasks with the names of the tasks they are of, in the order of columns.
std::vector<std::pair<std::string, std::string>> columns_of(const std::vector<SeedGroup>& groups) {
  std::set<std::tuple<std::size_t, std::string, std::string>> sorted;
  for (const SeedGroup& group : groups) {
    const std::string& task = group.records.front()->task;
    sorted.emplace(lra_place(task), group.task, task);
  }
  std::vector<std::pair<std::string, std::string>> columns;
  for (const auto& [place, label, task] : sorted) columns.emplace_back(label, task);
  return columns;
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

std::optional<double> mean_accuracy(const SeedGroup& group) {
  const auto values = group.values([](const Record& r) { return r.test_accuracy_best; });
  return values.empty() ? std::nullopt : std::optional(mean(values));
}

bool is_learned(const SeedGroup& group) {
  return std::ranges::any_of(group.records, [](const Record* r) { return r->status == "OK"; });
}

/// The variant with the best mean on a task; null where none has learned it, or only one has it.
const SeedGroup* best_on(const std::vector<SeedGroup>& groups, const std::string& task) {
  const SeedGroup* best = nullptr;
  int scored = 0;
  for (const SeedGroup& group : groups) {
    if (group.task != task || !mean_accuracy(group)) continue;
    ++scored;
    if (!is_learned(group)) continue;
    if (!best || *mean_accuracy(group) > *mean_accuracy(*best)) best = &group;
  }
  return scored > 1 ? best : nullptr;
}

/// Marks the best of each task's column, and what is not to be told from it. Says whether it did.
bool mark_columns(const std::vector<SeedGroup>& groups, const std::vector<std::string>& variants,
                  const std::vector<std::string>& tasks, Grid& grid) {
  PairedComparison compare{RandomKey(0)};
  bool marked = false;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const SeedGroup* const best = best_on(groups, tasks[t]);
    if (!best) continue;
    marked = true;
    for (std::size_t v = 0; v < variants.size(); ++v) {
      const SeedGroup* const group = group_of(groups, variants[v], tasks[t]);
      if (!group || !mean_accuracy(*group)) continue;
      const auto difference = compare(best->records, group->records);
      const bool tied = difference && difference->interval.holds(0);
      grid.rows[v][t + 1].mark = group == best ? kBest : tied ? kTied : "";
    }
  }
  return marked;
}

/// Mean over the first `count` of Long Range Arena's tasks, deviation over the seeds that all of
/// them have; a word where a task is missing or there twice.
GridCell average_cell(const std::vector<SeedGroup>& groups, const std::string& variant,
                      std::size_t count) {
  std::map<std::string, const SeedGroup*> by_task;
  for (const SeedGroup& group : groups) {
    const std::string& task = group.records.front()->task;
    if (group.variant != variant || lra_place(task) >= count || !mean_accuracy(group)) continue;
    if (!by_task.emplace(task, &group).second) return words("-");
  }
  if (by_task.size() < count) return words("-");
  std::vector<double> means;
  std::map<std::uint64_t, std::vector<double>> by_seed;
  bool partial = false;
  for (const auto& [task, group] : by_task) {
    means.push_back(*mean_accuracy(*group));
    for (const Record* record : group->records) {
      partial = partial || record->partial;
      if (record->test_accuracy_best) by_seed[record->seed].push_back(*record->test_accuracy_best);
    }
  }
  std::erase_if(by_seed, [&](const auto& seed) { return seed.second.size() < count; });
  std::vector<double> averages;
  for (const auto& [seed, accuracies] : by_seed) averages.push_back(mean(accuracies));
  GridCell cell = fixed(mean(means) / kPercent, 1);
  if (averages.size() > 1) cell.deviation = fixed(sample_deviation(averages) / kPercent, 1).text;
  if (partial) cell.remark = "PARTIAL";
  return cell;
}

/// A column of averages, where any variant has all the tasks. Says whether it was added.
bool add_average(const std::vector<SeedGroup>& groups, const std::vector<std::string>& variants,
                 std::size_t count, Grid& grid) {
  std::vector<GridCell> cells;
  for (const std::string& variant : variants) {
    cells.push_back(average_cell(groups, variant, count));
  }
  if (std::ranges::none_of(cells, &GridCell::number)) return false;
  grid.columns.push_back(fmt::format("avg{}", count));
  cells.resize(grid.rows.size(), words("-"));  // chance and shortcuts have none
  for (std::size_t r = 0; r < grid.rows.size(); ++r) grid.rows[r].push_back(std::move(cells[r]));
  return true;
}

}  // namespace

std::vector<std::string> trained_variants(const std::vector<SeedGroup>& groups) {
  std::vector<std::string> names;
  for (const SeedGroup& group : groups) {
    if (names.empty() || names.back() != group.variant) names.push_back(group.variant);
  }
  return names;
}

std::vector<std::string> tasks_of(const std::vector<SeedGroup>& groups) {
  std::vector<std::string> tasks;
  for (const auto& [label, task] : columns_of(groups)) tasks.push_back(label);
  return tasks;
}

const SeedGroup* group_of(const std::vector<SeedGroup>& groups, const std::string& variant,
                          const std::string& task) {
  const auto found = std::ranges::find_if(groups, [&](const SeedGroup& group) {
    return group.variant == variant && group.task == task;
  });
  return found == groups.end() ? nullptr : &*found;
}

Grid accuracy_grid(const std::vector<SeedGroup>& groups) {
  const std::vector<std::string> tasks = tasks_of(groups);
  Grid grid{.title =
                "Accuracy: % of the test split, weights best on validation; mean ± standard "
                "deviation over seeds",
            .columns = {"variant"},
            .rows = {}};
  grid.columns.insert(grid.columns.end(), tasks.begin(), tasks.end());
  for (const std::string& variant : trained_variants(groups)) {
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

Tables accuracy_view(const RecordSet& set) {
  const std::vector<SeedGroup> groups = seed_groups(set);
  if (groups.empty()) return {};
  const std::vector<std::string> variants = trained_variants(groups);
  Tables tables{.grids = {accuracy_grid(groups)}, .notes = {}};
  Grid& grid = tables.grids.front();
  if (mark_columns(groups, variants, tasks_of(groups), grid)) {
    tables.notes.emplace_back(kMarkNote);
    const std::string note = note_on_sequences(set.records);
    if (!note.empty()) tables.notes.push_back(note);
  }
  const bool five = add_average(groups, variants, 5, grid);
  const bool six = add_average(groups, variants, 6, grid);
  if (five || six) tables.notes.emplace_back(kAverageNote);
  return tables;
}

}  // namespace arena
