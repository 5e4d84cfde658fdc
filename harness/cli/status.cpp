#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/cli/command.hpp"
#include "harness/core/check.hpp"
#include "harness/sweep/cell.hpp"
#include "harness/sweep/claim.hpp"
#include "harness/sweep/environment.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/progress.hpp"
#include "harness/sweep/sweep.hpp"

namespace arena {
namespace {

using Json = nlohmann::ordered_json;

struct Status {
  std::map<std::string, Index> counts;  // of records, by status
  Index planned = 0, missing = 0;       // cells
  Index running = 0;                    // units with a living claim
  double seconds_left = 0;              // by as many processes as are running now
  std::vector<Record> failures;
  std::vector<Record> stale;
  std::vector<ClaimFolder::Holder> claims;
};

std::vector<Unit> planned_units(const Store& store) {
  const std::vector<std::string> plan = store.plan();
  std::vector<Unit> units;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    units.push_back(parse_unit(plan[i], fmt::format("{}:{}", store.plan_path(), i + 1)));
  }
  return units;
}

/// From the trainings that say how long they took; others by a guess.
double seconds_left(const std::vector<Unit>& units, const std::vector<Record>& records,
                    Index processes) {
  std::map<std::string, const Record*> by_id;
  for (const Record& record : records) by_id[record.id] = &record;
  TimeLeft time_left;
  std::vector<const Unit*> missing;
  std::set<std::string> seen;  // a unit may be planned by two presets
  for (const Unit& unit : units) {
    if (!seen.insert(unit.id).second) continue;
    const auto found = by_id.find(unit.cells.front().id);
    if (found == by_id.end()) {
      missing.push_back(&unit);
    } else if (const auto wall_s = found->second->wall_s) {
      time_left.add_done(unit.kind, unit_cost(unit), *wall_s);
    }
  }
  double seconds = 0;
  for (const Unit* unit : missing) seconds += time_left.seconds_for(unit->kind, unit_cost(*unit));
  return seconds / static_cast<double>(std::max(Index{1}, processes));
}

Status status_of(const Store& store) {
  Status status;
  const std::vector<Unit> plan = planned_units(store);
  std::set<std::string> planned;
  for (const Unit& unit : plan) {
    for (const UnitCell& cell : unit.cells) planned.insert(cell.id);
  }
  std::error_code error;
  std::vector<Record> records;
  if (plan.empty() || std::filesystem::exists(store.dir() + "/cells", error)) {
    records = store.load();
  }
  status.planned = static_cast<Index>(planned.size());
  for (const Record& record : records) {
    ++status.counts[record.status];
    planned.erase(record.id);
    if (is_failure(record.status)) status.failures.push_back(record);
    if (is_stale(record)) status.stale.push_back(record);
  }
  status.missing = static_cast<Index>(planned.size());
  status.claims = working_claims(plan, store);
  status.running = std::ranges::count(status.claims, true, &ClaimFolder::Holder::alive);
  status.seconds_left = seconds_left(plan, records, status.running);
  return status;
}

std::string what(const Record& record) {
  return record.kind == "train"
             ? fmt::format("{} on {}, seed {}", record.variant, record.task, record.seed)
             : fmt::format("{} {} {} at {}", record.variant, record.scope, record.pass,
                           record.length);
}

int print_text(const Status& status) {
  fmt::print("planned {}, missing {}", status.planned, status.missing);
  if (status.missing > 0) {
    fmt::print(", running {}, about {} left", status.running, duration_text(status.seconds_left));
  }
  fmt::print("\n");
  for (const auto& [name, count] : status.counts) fmt::print("{:<12} {}\n", name, count);
  if (!status.stale.empty()) {
    fmt::print("{} stale: made by other code than this, run again by the next sweep\n",
               status.stale.size());
  }
  for (const Record& record : status.failures) {
    fmt::print("{:<12} {} {}: {}\n", record.status, record.id, what(record), record.error);
  }
  for (const ClaimFolder::Holder& claim : status.claims) {
    fmt::print("{} {} by {}, last sign of life {:.0f} s ago\n",
               claim.alive ? "running     " : "dead claim  ", claim.id, claim.owner, claim.age_s);
  }
  return 0;
}

int print_json(const Status& status) {
  Json json{{"planned", status.planned}, {"missing", status.missing},
            {"running", status.running}, {"seconds_left", status.seconds_left},
            {"counts", status.counts},   {"stale", Json::array()},
            {"failures", Json::array()}, {"claims", Json::array()}};
  for (const Record& record : status.stale) json["stale"].push_back(record.id);
  for (const Record& record : status.failures) {
    json["failures"].push_back({{"id", record.id},
                                {"status", record.status},
                                {"what", what(record)},
                                {"error", record.error}});
  }
  for (const ClaimFolder::Holder& claim : status.claims) {
    json["claims"].push_back(
        {{"id", claim.id}, {"owner", claim.owner}, {"age_s", claim.age_s}, {"alive", claim.alive}});
  }
  fmt::print("{}\n", json.dump(2));
  return 0;
}

}  // namespace

void add_status(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("status", "How far a sweep is: counts, failures, who works on what");
  const auto dir = std::make_shared<std::string>();
  const auto as_json = std::make_shared<bool>(false);
  command->add_option("DIR", *dir, "Result folder: runs/quick")->required();
  command->add_flag("--json", *as_json, "One object");
  command->footer("Example:\n  arena status runs/quick");
  command->callback([=, &action] {
    action = [=] {
      const Status status = status_of(Store(*dir));
      return *as_json ? print_json(status) : print_text(status);
    };
  });
}

}  // namespace arena
