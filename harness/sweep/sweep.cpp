#include "harness/sweep/sweep.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/core/check.hpp"
#include "harness/core/shell.hpp"
#include "harness/sweep/cell.hpp"
#include "harness/sweep/environment.hpp"
#include "harness/sweep/program.hpp"
#include "harness/sweep/runner.hpp"

namespace arena {
namespace {

bool retried(const std::string& status, const std::vector<std::string>& retry) {
  return std::ranges::any_of(retry, [&](const std::string& wanted) {
    return wanted == status || (wanted == "FAILED" && is_failure(status));
  });
}

/// A row of missing or damaged files is replaced by the cell that has data, whose id holds the
/// data's hash.
void forget_missing_data(const Unit& unit, const Store& store) {
  if (unit.kind != "train" || unit.dataset_hash.empty()) return;
  Unit without = unit;
  without.dataset_hash.clear();
  const std::string id = train_unit(std::move(without)).id;
  const auto record = store.find(id);
  if (record && record->dataset_hash.empty()) store.remove(id);
}

}  // namespace

Need need_of(const Unit& unit, const Store& store, const SweepSetup& setup) {
  if (setup.force) return Need::kFresh;
  Need need = Need::kNothing;
  std::string group;
  for (const UnitCell& cell : unit.cells) {
    const auto record = store.find(cell.id);
    if (!record) return Need::kRun;
    if (is_stale(*record) && !setup.keep_stale) return Need::kFresh;
    if (retried(record->status, setup.retry)) need = Need::kRun;
    // Times compare only within one group: part of another group does not make this one.
    if (!group.empty() && record->group != group) need = Need::kRun;
    group = record->group;
  }
  return need;
}

std::vector<ClaimFolder::Holder> working_claims(const std::vector<Unit>& units,
                                                const Store& store) {
  const ClaimFolder claims(store.dir());
  std::vector<ClaimFolder::Holder> holders = claims.holders();
  for (const Unit& unit : units) {
    std::vector<std::string> results;
    for (const UnitCell& cell : unit.cells) results.push_back(store.cell_path(cell.id));
    std::erase_if(holders, [&](const ClaimFolder::Holder& holder) {
      return holder.id == unit.id && claims.left_behind(unit.id, results);
    });
  }
  return holders;
}

std::string cell_options(const SweepSetup& setup) {
  std::string text = " --data-dir " + shell_word(setup.data_dir);
  if (setup.time_limit_s > 0) text += fmt::format(" --time-limit {:g}", setup.time_limit_s);
  if (setup.memory_limit > 0) text += fmt::format(" --memory-limit {}", setup.memory_limit);
  if (!setup.retry.empty()) text += fmt::format(" --retry {}", fmt::join(setup.retry, ","));
  if (setup.keep_stale) text += " --keep-stale";
  return text;
}

void check_statuses(const std::vector<std::string>& statuses) {
  std::vector<std::string> known{"FAILED", "OK", "NOT_LEARNED", "UNSUPPORTED", "NO_DATA"};
  known.insert(known.end(), failure_statuses().begin(), failure_statuses().end());
  for (const std::string& status : statuses) {
    if (std::ranges::count(known, status) == 0) throw Error(unknown_name("status", status, known));
  }
}

std::string checkpoint_path(const std::string& dir, const std::string& id) {
  return dir + "/checkpoints/" + id + ".safetensors";
}

Index SweepResult::failures() const {
  return std::ranges::count_if(records, [](const Record& r) { return is_failure(r.status); });
}

SweepResult run_sweep(const std::vector<Unit>& units, const SweepSetup& setup) {
  check_statuses(setup.retry);
  const Store store(setup.out);
  const ClaimFolder claims(setup.out);
  std::vector<std::string> lines;
  for (const Unit& unit : units) lines.push_back(unit_line(unit));
  const std::vector<Index> places = store.add_to_plan(lines);
  SweepResult result;
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < units.size(); ++i) {
    forget_missing_data(units[i], store);
    const Need need = need_of(units[i], store, setup);
    if (need == Need::kNothing) {
      claims.forget_dead(units[i].id);
      ++result.skipped;
    } else {
      jobs.push_back({.unit = units[i], .place = places[i], .fresh = need == Need::kFresh});
    }
  }
  if (!jobs.empty()) {
    Runner runner(store, setup, std::move(jobs), static_cast<Index>(units.size()));
    result.stopped = !runner.run();
    result.done = runner.done();
  }
  for (const Unit& unit : units) {
    for (const UnitCell& cell : unit.cells) {
      if (auto record = store.find(cell.id)) result.records.push_back(std::move(*record));
    }
  }
  return result;
}

}  // namespace arena
