// The lra view: what was measured here beside what others have published, mechanism by mechanism.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "results/published_lra.hpp"
#include "results/statistics.hpp"
#include "results/views.hpp"

namespace arena {
namespace {

constexpr double kGigabyte = 1e9;
constexpr double kNanosecondsPerSecond = 1e9;
constexpr std::array<Index, 4> kSpeedLengths{1024, 2048, 3072, 4096};
constexpr const char* kHere = "here";

/// Variants that compute the same: exact attention is one mechanism.
std::string mechanism_of(const std::string& variant) {
  return variant == "dense" ? "blocked" : variant;
}

std::string readable(std::string_view mechanism) {
  return mechanism == "blocked" ? "exact attention" : std::string(mechanism);
}

/// In the order of Long Range Arena's tables, then what others have added, by name, then what was
/// measured here alone; mechanisms without a counterpart here ("") last.
std::vector<std::string> mechanisms(const RecordSet& set) {
  std::vector<std::string> order;
  const auto add = [&](const std::string& name) {
    if (!name.empty() && std::ranges::count(order, name) == 0) order.push_back(name);
  };
  for (const PublishedAccuracy& row : published_accuracies()) add(std::string(row.mechanism));
  std::set<std::string> here;
  for (const Record& record : set.records) here.insert(mechanism_of(record.variant));
  for (const std::string& name : here) add(name);
  order.emplace_back();
  return order;
}

GridCell percent_cell(double percent) {
  if (percent == PublishedAccuracy::kFail) return words("FAIL");
  return percent == PublishedAccuracy::kNone ? words("-") : fixed(percent, 2);
}

/// Mean over the first `count` tasks; "-" where one is missing or was not learned.
GridCell published_average(const PublishedAccuracy& row, std::size_t count) {
  const std::span<const double> values = std::span(row.percent).first(count);
  if (std::ranges::any_of(values, [](double value) { return value < 0; })) return words("-");
  return fixed(mean(values), 2);
}

/// The only column of one of Long Range Arena's tasks; null where there is none, or several
/// lengths.
const SeedGroup* only_group(const std::vector<SeedGroup>& groups, const std::string& variant,
                            std::string_view task) {
  const SeedGroup* only = nullptr;
  for (const SeedGroup& group : groups) {
    if (group.variant != variant || group.records.front()->task != task) continue;
    if (only) return nullptr;
    only = &group;
  }
  return only;
}

struct LraOption {
  std::string_view task, option, value;
};
/// What makes a task Long Range Arena's own.
constexpr std::array<LraOption, 5> kLraOptions{{{"listops", "max_len", "2000"},
                                                {"text", "max_len", "4096"},
                                                {"retrieval", "max_len", "4000"},
                                                {"pathfinder", "size", "32"},
                                                {"pathfinder", "difficulty", "hard"}}};

/// "max_len=128", where a record is of an easier or shorter task than Long Range Arena's.
std::string other_setting(const Record& record) {
  std::vector<std::string> others;
  for (const LraOption& lra : kLraOptions) {
    const auto found = record.task_options.find(std::string(lra.option));
    if (record.task != lra.task || found == record.task_options.end()) continue;
    const std::string value = option_text(found->second);
    if (value != lra.value) others.push_back(fmt::format("{}={}", lra.option, value));
  }
  return fmt::format("{}", fmt::join(others, ","));
}

/// Empty where the variant was trained on none of the tasks.
std::vector<GridCell> accuracy_row(const std::vector<SeedGroup>& groups,
                                   const std::string& mechanism, const std::string& variant) {
  std::vector<GridCell> row{words(readable(mechanism)), words(variant), words(kHere)};
  std::vector<std::optional<double>> means;
  bool any = false;
  for (const std::string_view task : kLraTasks) {
    const SeedGroup* const group = only_group(groups, variant, task);
    any = any || group;
    row.push_back(group ? accuracy_cell(*group, &Record::test_accuracy_best) : words("-"));
    const std::string other = group ? other_setting(*group->records.front()) : "";
    if (group && group->records.front()->partial) row.back().remark = "PARTIAL";
    if (!other.empty()) row.back().remark = other;
    const auto values = group && other.empty()
                            ? group->values([](const Record& r) { return r.test_accuracy_best; })
                            : std::vector<double>{};
    means.push_back(values.empty() ? std::nullopt : std::optional(100 * mean(values)));
  }
  for (const std::size_t count : {std::size_t{5}, std::size_t{6}}) {
    double sum = 0;
    bool all = true;
    for (const auto& value : std::span(means).first(count)) {
      all = all && value;
      sum += value.value_or(0);
    }
    row.push_back(all ? fixed(sum / static_cast<double>(count), 1) : words("-"));
  }
  return any ? row : std::vector<GridCell>{};
}

Grid accuracy_grid_beside_published(const RecordSet& set) {
  Grid grid{.title = "Long Range Arena, table 1: accuracy in % of the test split",
            .columns = {"mechanism", "model", "setup"},
            .rows = {}};
  for (const std::string_view task : kLraTasks) grid.columns.emplace_back(task);
  grid.columns.insert(grid.columns.end(), {"avg5", "avg6"});
  const std::vector<SeedGroup> groups = seed_groups(set);
  for (const std::string& mechanism : mechanisms(set)) {
    for (const std::string& variant : trained_variants(groups)) {
      const auto of = std::ranges::find(groups, variant, &SeedGroup::variant);
      if (mechanism_of(of->records.front()->variant) != mechanism) continue;
      auto row = accuracy_row(groups, mechanism, variant);
      if (!row.empty()) grid.rows.push_back(std::move(row));
    }
    for (const PublishedAccuracy& published : published_accuracies()) {
      if (published.mechanism != mechanism) continue;
      std::vector<GridCell> row{words(mechanism.empty() ? "others" : readable(mechanism)),
                                words(std::string(published.model)),
                                words(std::string(published.setup))};
      for (const double percent : published.percent) row.push_back(percent_cell(percent));
      row.push_back(published_average(published, 5));
      row.push_back(published_average(published, 6));
      grid.rows.push_back(std::move(row));
    }
  }
  return grid;
}

/// Training steps of a whole model, by the row's name and length.
std::map<std::string, std::map<Index, const Record*>> steps_here(const RecordSet& set) {
  std::map<std::string, std::map<Index, const Record*>> steps;
  for (const Record& record : set.records) {
    if (record.scope != "step" || std::ranges::count(kSpeedLengths, record.length) == 0) continue;
    const std::string name =
        fmt::format("{} ({})", set.labels.variant(record), set.labels.shape(record));
    steps[name][record.length] = &record;
  }
  return steps;
}

/// Speed relative to exact attention that was timed side by side with it.
std::optional<double> times_exact(const std::vector<TimeGroup>& groups, const Record& record) {
  const auto group = std::ranges::find_if(
      groups, [&](const TimeGroup& g) { return std::ranges::count(g.records, &record) > 0; });
  const auto dense = group->speed_up(record, "dense");
  return dense ? dense : group->speed_up(record, "blocked");
}

std::vector<GridCell> speed_row(const std::string& mechanism, const std::string& name,
                                const std::map<Index, const Record*>& by_length,
                                const std::vector<TimeGroup>& groups) {
  std::vector<GridCell> row{words(readable(mechanism)), words(name), words(kHere)};
  const auto cell = [&](Index length, auto&& value_of) {
    const auto found = by_length.find(length);
    return found == by_length.end() ? words("-")
                                    : or_status(*found->second, number(value_of(*found->second)));
  };
  for (const Index length : kSpeedLengths) {
    row.push_back(cell(length, [](const Record& r) -> std::optional<double> {
      if (r.time_ns_median.value_or(0) <= 0) return std::nullopt;
      return kNanosecondsPerSecond / *r.time_ns_median;
    }));
  }
  for (const Index length : kSpeedLengths) {
    row.push_back(cell(length, [&](const Record& r) { return times_exact(groups, r); }));
  }
  for (const Index length : kSpeedLengths) {
    row.push_back(cell(length, [](const Record& r) -> std::optional<double> {
      if (!r.rss_peak_bytes) return std::nullopt;
      return *r.rss_peak_bytes / kGigabyte;
    }));
  }
  return row;
}

Grid speed_grid_beside_published(const RecordSet& set) {
  Grid grid{.title = "Long Range Arena, table 2: training steps per second, and GB of memory",
            .columns = {"mechanism", "model", "setup"},
            .rows = {}};
  for (const Index length : kSpeedLengths) {
    grid.columns.push_back(fmt::format("steps/s {}K", length / 1024));
  }
  for (const Index length : kSpeedLengths) {
    grid.columns.push_back(fmt::format("x exact {}K", length / 1024));
  }
  for (const Index length : kSpeedLengths) {
    grid.columns.push_back(fmt::format("GB {}K", length / 1024));
  }
  const auto steps = steps_here(set);
  const std::vector<TimeGroup> groups = time_groups(set);
  const PublishedSpeed& exact = published_speeds().front();
  for (const std::string& mechanism : mechanisms(set)) {
    for (const auto& [name, by_length] : steps) {
      if (mechanism_of(by_length.begin()->second->variant) != mechanism) continue;
      grid.rows.push_back(speed_row(mechanism, name, by_length, groups));
    }
    for (const PublishedSpeed& published : published_speeds()) {
      if (published.mechanism != mechanism) continue;
      std::vector<GridCell> row{words(readable(mechanism)), words(std::string(published.model)),
                                words("LRA")};
      for (const double value : published.steps_per_s) row.push_back(number(value));
      for (std::size_t i = 0; i < kSpeedLengths.size(); ++i) {
        row.push_back(fixed(published.steps_per_s[i] / exact.steps_per_s[i], 1));
      }
      for (const double value : published.gigabytes) row.push_back(number(value));
      grid.rows.push_back(std::move(row));
    }
  }
  return grid;
}

}  // namespace

Tables lra_view(const RecordSet& set) {
  Tables tables{
      .grids = {accuracy_grid_beside_published(set), speed_grid_beside_published(set)},
      .notes = {"here: these records; steps are those of scope step at these lengths (arena bench "
                "--scope step --lengths 1024:4096:+1024), GB the peak of a process, x exact the "
                "speed relative to dense (or where that was not timed, to blocked) beside it. All "
                "others are published figures, each of its own model, training and machine: they "
                "do not compare across setups.",
                "avg5: without pathx, avg6: with it, from the figures shown. A FAIL has no avg6."}};
  for (const PublishedSetup& setup : published_setups()) {
    tables.notes.push_back(fmt::format("{}: {}.", setup.name, setup.what));
  }
  return tables;
}

}  // namespace arena
