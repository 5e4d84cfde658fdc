#include "harness/sweep/slurm.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <sstream>

#include "harness/core/check.hpp"
#include "harness/sweep/claim.hpp"
#include "harness/sweep/program.hpp"
#include "harness/sweep/sweep.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

constexpr Index kUsualArraySize = 1001;
constexpr int kNoSuchProgram = 127;
/// Works wherever there is a cluster that answers.
const std::vector<std::string> kAnyQueue{"squeue", "--noheader", "--states=RUNNING", "--format=%i"};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Leading digits as a number; -1 when there are none.
Index leading_number(std::string_view text) {
  Index number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// What a command of Slurm prints; its own words where it fails.
std::string ask(const std::vector<std::string>& words) {
  const ProgramOutput output = run_program(words);
  check(output.exit_code != kNoSuchProgram,
        "no '{}' here: run this where Slurm's commands are, or see the scripts with --dry-run",
        words.front());
  std::vector<std::string> lines = lines_of(output.text);
  std::erase(lines, "");
  check(output.exit_code == 0, "{}: {}", words.front(),
        lines.empty() ? fmt::format("exit code {}", output.exit_code)
                      : fmt::format("{}", fmt::join(lines, "; ")));
  return output.text;
}

Index max_array_size() {
  for (const std::string& line : lines_of(ask({"scontrol", "show", "config"}))) {
    if (!line.starts_with("MaxArraySize")) continue;
    const std::size_t digits = line.find_first_of("0123456789");
    const Index size = digits == std::string::npos ? 0 : leading_number(line.substr(digits));
    check(size > 0, "this cluster runs no arrays of jobs: {}", line);
    return size;  // tasks are numbered from 0, and their numbers stay below it
  }
  throw Error("scontrol show config: no MaxArraySize");
}

/// The ids in line `task` (from 0) of an array's list.
void add_units_of_task(const std::string& list, Index task, std::set<std::string>& ids) {
  std::error_code error;
  if (!fs::exists(list, error)) return;
  const std::vector<std::string> lines = lines_of(read_file(list));
  if (task < 0 || task >= static_cast<Index>(lines.size())) return;
  std::istringstream words(lines[static_cast<std::size_t>(task)]);
  for (std::string word; words >> word;) ids.insert(word.substr(word.find(':') + 1));
}

/// Units of this result folder that wait or run in the cluster's queue.
std::set<std::string> queued_units(const std::string& out) {
  std::set<std::string> ids;
  const std::string prefix = slurm_job_prefix(out);
  for (const std::string& line :
       lines_of(ask({"squeue", "--noheader", "--array", fmt::format("--user={}", ::getuid()),
                     "--states=PENDING,RUNNING,SUSPENDED,CONFIGURING", "--format=%j %K"}))) {
    if (!line.starts_with(prefix)) continue;
    std::istringstream words(line.substr(prefix.size()));  // "3-train-0 17"
    std::string name, task;
    words >> name >> task;
    const std::size_t dash = name.find('-');
    if (dash == std::string::npos) continue;
    add_units_of_task(
        fmt::format("{}/{}.units", slurm_folder(out, leading_number(name)), name.substr(dash + 1)),
        leading_number(task), ids);
  }
  return ids;
}

/// Queued units, and those that any process with a living claim works on.
std::set<std::string> units_under_way(const std::vector<Unit>& units, const std::string& out) {
  std::set<std::string> ids;
  if (slurm_is_here()) ids = queued_units(out);
  for (const ClaimFolder::Holder& holder : working_claims(units, Store(out))) {
    if (holder.alive) ids.insert(holder.id);
  }
  return ids;
}

/// The first number that no submission of this folder has.
Index next_batch(const std::string& out) {
  Index batch = 1;
  std::error_code error;
  while (fs::exists(slurm_folder(out, batch), error)) ++batch;
  return batch;
}

std::vector<std::string> lines_for(const std::vector<Unit>& units) {
  std::vector<std::string> lines;
  for (const Unit& unit : units) lines.push_back(unit_line(unit));
  return lines;
}

std::string submit(const std::vector<std::string>& options, const std::string& script,
                   const std::vector<SubmittedJob>& before) {
  std::vector<std::string> words{"sbatch", "--parsable"};
  words.insert(words.end(), options.begin(), options.end());
  words.push_back(script);
  try {
    for (const std::string& line : lines_of(ask(words))) {  // "1234" or "1234;CLUSTER"
      if (leading_number(line) > 0) return fmt::format("{}", leading_number(line));
    }
    throw Error("sbatch named no job");
  } catch (const Error& error) {
    if (before.empty()) throw;
    throw Error(fmt::format("{} (submitted before: job {}; submit again for the rest)",
                            error.what(), before.back().id));
  }
}

}  // namespace

bool slurm_is_here() {
  return run_program(kAnyQueue).exit_code == 0;
}

SlurmPlan plan_for_slurm(const std::vector<Unit>& units, const SlurmSetup& setup) {
  const Store store(setup.out);
  const std::vector<Index> places = store.places_of(lines_for(units));
  const std::set<std::string> under_way = units_under_way(units, setup.out);
  SlurmPlan plan{.batch = next_batch(setup.out)};
  std::vector<PlannedUnit> missing;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (need_of(units[i], store, setup) == Need::kNothing) {
      ++plan.done;
    } else if (under_way.contains(units[i].id)) {
      ++plan.under_way;
    } else {
      missing.push_back({.unit = units[i], .place = places[i]});
    }
  }
  const Index array_size = slurm_is_here() ? max_array_size() : kUsualArraySize;
  plan.arrays = slurm_arrays(missing, setup, plan.batch, array_size);
  plan.tables_script = slurm_tables_script(setup, plan.batch);
  return plan;
}

std::vector<SubmittedJob> submit_to_slurm(const std::vector<Unit>& units, const SlurmSetup& setup,
                                          SlurmPlan& plan) {
  ask({"sbatch", "--version"});
  ask(kAnyQueue);
  Store(setup.out).add_to_plan(lines_for(units));
  plan = plan_for_slurm(units, setup);
  std::vector<SubmittedJob> jobs;
  if (plan.arrays.empty()) return jobs;
  const std::string folder = slurm_folder(setup.out, plan.batch) + "/";
  create_folder(fs::path(setup.out) / "slurm");
  std::error_code error;
  check(fs::create_directory(folder, error), "cannot create {}: {}", folder,
        error ? error.message() : "another submission is at work; try again");
  std::vector<std::string> ids;
  for (const SlurmArray& array : plan.arrays) {
    write_file_atomically(folder + array.name + ".units", array.units);
    write_file_atomically(folder + array.name + ".sh", array.script);
    std::string tasks = fmt::format("--array=0-{}", array.tasks - 1);
    if (setup.limit > 0) tasks += fmt::format("%{}", setup.limit);
    std::vector<std::string> options{tasks};
    if (array.after_previous) options.push_back("--dependency=afterany:" + ids.back());
    ids.push_back(submit(options, folder + array.name + ".sh", jobs));
    jobs.push_back({ids.back(), array.what});
  }
  write_file_atomically(folder + "tables.sh", plan.tables_script);
  jobs.push_back({submit({fmt::format("--dependency=afterany:{}", fmt::join(ids, ":"))},
                         folder + "tables.sh", jobs),
                  "tables and report, when the others have ended"});
  return jobs;
}

}  // namespace arena
