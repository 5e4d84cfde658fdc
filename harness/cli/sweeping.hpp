#pragma once
// What `sweep` and `train` have in common: options of a run, and its end.

#include <CLI/CLI.hpp>
#include <string>

#include "harness/sweep/preset.hpp"
#include "harness/sweep/sweep.hpp"

namespace arena {

/// Options that both commands take.
struct RunArguments {
  std::string out, data_dir, memory_limit, retry, seeds;
  Index jobs = 1, threads = 0;
  double time_limit = 0;
  bool keep_stale = false, force = false, dry_run = false, commands = false;
  bool report = false;  // ends by writing OUT/report.html
};
void add_run_options(CLI::App& command, RunArguments& arguments);

/// Plans, runs and prints the table of these units, and writes the report where one is asked for;
/// gives the exit code. With dry_run only prints what would be done; with
/// `commands` writes the plan and prints a command for each unit that is missing.
int plan_and_run(const Preset& preset, const RunArguments& arguments,
                 const std::string& default_out);

}  // namespace arena
