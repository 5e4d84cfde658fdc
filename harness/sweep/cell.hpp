#pragma once
// Unit -> records: the one place that turns an Error into a failed record.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "harness/sweep/unit.hpp"
#include "harness/train/trainer.hpp"
#include "results/record.hpp"

namespace arena {

/// How to run a unit; nothing in it changes the numbers of a training.
struct CellSetup {
  std::string data_dir{};
  std::string checkpoint{};  // path; "" = none
  Index threads = 1;         // of a training; a timing group says its own
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const TrainProgress&)> progress{};  // of a training
  std::function<void(const std::string&)> remark{};      // of a timing group
};

/// One finished record per cell of the unit. An Error becomes the status of its Failure, memory
/// that is not to be had becomes OOM, any other exception ERROR. Throws only Stopped.
std::vector<Record> run_unit(const Unit& unit, const CellSetup& setup);

/// A measured record with what was asked for and where it ran: identity, settings, build, machine.
Record completed_record(const Unit& unit, const UnitCell& cell, Record measured);

/// Records that say why a unit could not be run to its end: CRASHED, TIMEOUT, OOM.
std::vector<Record> failed_records(const Unit& unit, const std::string& status,
                                   const std::string& error);

/// What a plan must know of a task's data; a hash of "" says that its files are missing or damaged
/// (and the unit will end as NO_DATA or ERROR, with the reason).
struct TaskFacts {
  std::string dataset_hash;
  Index max_len = 1;  // tokens of a sample at most
};
/// Throws Error where the task's options do not fit together.
TaskFacts task_facts(const TaskInfo& info, const Options& options, const std::string& data_dir);

/// OOM, TIMEOUT, CRASHED, INCORRECT, DIVERGED, ERROR: statuses of a failure, not of a result.
const std::vector<std::string>& failure_statuses();
bool is_failure(const std::string& status);

}  // namespace arena
