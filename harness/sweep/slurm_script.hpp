#pragma once
// What Slurm is given: lists of units cut into arrays of jobs, and the scripts that run them. Pure
// texts; harness/sweep/slurm.hpp asks the cluster and submits them.

#include <span>
#include <string>
#include <vector>

#include "harness/sweep/sweep.hpp"

namespace arena {

/// A sweep whose result folder and data folder are absolute; `threads` are the cores of a training.
struct SlurmSetup : SweepSetup {
  std::string program{};  // what the jobs run: this binary, or the launcher of an installed tree
  Index limit = 0;        // tasks of trainings at once, and of timings; 0: as many as there are
  Index cells_per_job = 1;
  std::vector<std::string> sbatch_words{};  // further options of every job
};

/// A unit and its line of the plan, from 0.
struct PlannedUnit {
  Unit unit;
  Index place = 0;
};

/// One array: task N runs the units of line N + 1 of its list. Files are DIR/slurm/BATCH/NAME.sh
/// and NAME.units.
struct SlurmArray {
  std::string name{};   // "train-0"
  std::string units{};  // the list: a line "PLACE:ID PLACE:ID" for each task
  std::string script{};
  std::string what{};  // "18 trainings in 9 tasks"
  Index tasks = 0;
  bool after_previous = false;  // a limit holds for both: starts when the one before has ended
};

/// Timings (whole nodes) first, then trainings (packed by cores), `cells_per_job` units to a task
/// and at most `max_array_size` tasks to an array. Throws Error on words that no line of a script
/// can hold.
std::vector<SlurmArray> slurm_arrays(const std::vector<PlannedUnit>& units, const SlurmSetup& setup,
                                     Index batch, Index max_array_size);

/// Writes the tables and the report once no job of this result folder is left; waits for those that
/// were submitted again meanwhile.
std::string slurm_tables_script(const SlurmSetup& setup, Index batch);

/// Where the files of a batch are.
std::string slurm_folder(const std::string& out, Index batch);
/// "arena-1a2b3c4d-": what the names of all jobs of a result folder begin with, then "BATCH-NAME".
std::string slurm_job_prefix(const std::string& out);

}  // namespace arena
