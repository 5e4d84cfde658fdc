#pragma once
// What commands that run units have in common: their options, and the end of a run.

#include <CLI/CLI.hpp>
#include <string>

#include "harness/sweep/preset.hpp"
#include "harness/sweep/sweep.hpp"
#include "tasks/format/data_folder.hpp"

namespace arena {

constexpr int kMostThreads = 4096;

/// How units are run, whoever runs them.
struct UnitArguments {
  std::string data_dir = default_data_dir(), memory_limit, retry;
  Index threads = 0;
  double time_limit = 0;
  bool keep_stale = false;
};
/// All options of these but --threads.
void add_unit_options(CLI::App& command, UnitArguments& arguments);
/// Throws Error on texts that cannot be read.
SweepSetup sweep_setup(const UnitArguments& arguments, const std::string& out);

/// What `sweep` and `train` take.
struct RunArguments : UnitArguments {
  std::string out, seeds;
  Index jobs = 1;
  bool force = false, dry_run = false, commands = false;
  bool report = false;  // ends by writing OUT/report.html
};
void add_run_options(CLI::App& command, RunArguments& arguments);

/// Plans, runs and prints the table of these units, and writes the report where one is asked for;
/// gives the exit code. With dry_run only prints what would be done; with
/// `commands` writes the plan and prints a command for each unit that is missing.
int plan_and_run(const Preset& preset, const RunArguments& arguments,
                 const std::string& default_out);

}  // namespace arena
