#pragma once
// Submits what is missing of a sweep to Slurm, and knows what is on its way already.

#include <string>
#include <vector>

#include "harness/sweep/slurm_script.hpp"

namespace arena {

/// What there is to submit of the units of a sweep.
struct SlurmPlan {
  Index done = 0, under_way = 0;     // units: recorded; in the queue, or run by somebody now
  Index batch = 0;                   // number of this submission in its result folder
  std::vector<SlurmArray> arrays{};  // of the other units
  std::string tables_script{};
};

/// Whether Slurm's commands are here and a cluster answers.
bool slurm_is_here();

/// What submit_to_slurm() would submit; writes nothing. Without Slurm here nothing is in its queue,
/// and arrays are cut at its usual size.
SlurmPlan plan_for_slurm(const std::vector<Unit>& units, const SlurmSetup& setup);

struct SubmittedJob {
  std::string id, what;  // "1234", "18 trainings in 9 tasks"
};

/// Adds the units to the plan of the folder, writes the scripts and submits those units that are
/// missing, then the job of the tables. Throws Error where Slurm is not here or refuses, with what
/// it submitted before.
std::vector<SubmittedJob> submit_to_slurm(const std::vector<Unit>& units, const SlurmSetup& setup,
                                          SlurmPlan& plan);

}  // namespace arena
