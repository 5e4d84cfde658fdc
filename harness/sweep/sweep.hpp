#pragma once
// Runs the units of a plan, each in a process of its own; resumes, skips, records failures.

#include <string>
#include <vector>

#include "harness/sweep/claim.hpp"
#include "harness/sweep/unit.hpp"
#include "results/store.hpp"

namespace arena {

struct SweepSetup {
  std::string out{};  // result folder
  std::string data_dir{};
  Index jobs = 1;           // trainings at once; timings run alone
  Index threads = 0;        // of each training; 0: what the machine has, shared among the jobs
  double time_limit_s = 0;  // of one unit; 0: none
  Index memory_limit = 0;   // bytes of one unit; 0: none
  std::vector<std::string> retry{};  // statuses that are run again; "FAILED": every failure
  bool keep_stale = false;
  bool force = false;  // run everything anew, without checkpoints
};

/// What of it `arena cell` is told, but the threads: " --data-dir D --time-limit 60", for a shell.
std::string cell_options(const SweepSetup& setup);

/// What is to be done with a unit.
enum class Need {
  kNothing,  // its records stand
  kRun,      // missing, incomplete or to be retried: goes on from a checkpoint
  kFresh,    // stale or forced: starts anew
};
Need need_of(const Unit& unit, const Store& store, const SweepSetup& setup);

struct SweepResult {
  Index done = 0;                 // units run now
  Index skipped = 0;              // units whose records stood
  std::vector<Record> records{};  // of all units, as they stand at the end
  bool stopped = false;

  Index failures() const;  // records whose status is a failure
};

/// Runs what needs to be run. Progress goes to standard error. Ctrl-C or SIGTERM (stop.hpp) is
/// passed on, waited for, and reported as `stopped`. Throws Error on a bad --retry.
SweepResult run_sweep(const std::vector<Unit>& units, const SweepSetup& setup);

/// All claims but those that are left on finished units: of a process that died between its last
/// record and the release, which counts as alive for a while. Sorted by id.
std::vector<ClaimFolder::Holder> working_claims(const std::vector<Unit>& units, const Store& store);

/// Throws Error on a status that no record has, naming the nearest; "FAILED" stands for all
/// failures.
void check_statuses(const std::vector<std::string>& statuses);

/// Path of a training's checkpoint in a result folder.
std::string checkpoint_path(const std::string& dir, const std::string& id);

}  // namespace arena
