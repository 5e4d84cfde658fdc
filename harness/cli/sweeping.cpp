#include "harness/cli/sweeping.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "harness/cli/arguments.hpp"
#include "harness/cli/reporting.hpp"
#include "harness/core/check.hpp"
#include "harness/core/shell.hpp"
#include "harness/sweep/environment.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/program.hpp"
#include "harness/sweep/stop.hpp"
#include "results/table.hpp"

namespace arena {
namespace {

constexpr double kMostSeconds = 1e9;

const char* need_text(Need need) {
  switch (need) {
    case Need::kNothing:
      return "done";
    case Need::kRun:
      return "run";
    case Need::kFresh:
      return "run anew";
  }
  return "";
}

int print_plan(const std::vector<Unit>& units, const SweepSetup& setup) {
  const Store store(setup.out);
  for (const Unit& unit : units) {
    fmt::print("{:<9} {}  {}\n", need_text(need_of(unit, store, setup)), unit.id, unit_title(unit));
  }
  fmt::print(stderr, "{} units would go to {}\n", units.size(), setup.out);
  return 0;
}

int print_commands(const std::vector<Unit>& units, const SweepSetup& setup) {
  const Store store(setup.out);
  std::vector<std::string> lines;
  for (const Unit& unit : units) lines.push_back(unit_line(unit));
  const std::vector<Index> places = store.add_to_plan(lines);
  SweepSetup absolute = setup;
  absolute.data_dir = std::filesystem::absolute(setup.data_dir).lexically_normal().string();
  const std::string plan = std::filesystem::absolute(store.plan_path()).lexically_normal().string();
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (need_of(units[i], store, setup) == Need::kNothing) continue;
    fmt::print("{} cell --plan {} --index {} --threads {}{}\n", shell_word(own_program()),
               shell_word(plan), places[i], setup.threads, cell_options(absolute));
  }
  return 0;
}

}  // namespace

void add_unit_options(CLI::App& command, UnitArguments& a) {
  command.add_option("--data-dir", a.data_dir, "Where data sets are (ARENA_DATA)")
      ->capture_default_str();
  command.add_option("--time-limit", a.time_limit, "Seconds of one unit; beyond: TIMEOUT")
      ->check(CLI::Range(0.001, kMostSeconds));
  command.add_option("--memory-limit", a.memory_limit, "Bytes of one unit (512M, 2G); beyond: OOM");
  command.add_option("--retry", a.retry, "Statuses to run again: OOM, TIMEOUT, ... or FAILED");
  command.add_flag("--keep-stale", a.keep_stale, "Let records made by other code stand");
}

SweepSetup sweep_setup(const UnitArguments& arguments, const std::string& out) {
  SweepSetup setup{.out = out,
                   .data_dir = arguments.data_dir,
                   .threads = arguments.threads,
                   .time_limit_s = arguments.time_limit,
                   .memory_limit = parse_bytes(arguments.memory_limit),
                   .retry = parse_list(arguments.retry),
                   .keep_stale = arguments.keep_stale};
  check_statuses(setup.retry);
  return setup;
}

void add_run_options(CLI::App& command, RunArguments& a) {
  command.add_option("--seeds", a.seeds, "Seeds of trainings: 0,1,2");
  command.add_option("--threads", a.threads, "Threads of a training; 0: all, shared by the jobs")
      ->check(CLI::Range(0, kMostThreads));
  command.add_option("--jobs", a.jobs, "Trainings at once (timings always run alone)")
      ->check(CLI::Range(1, kMostThreads));
  command.add_option("--out", a.out, "Result folder");
  add_unit_options(command, a);
  command.add_flag("--force", a.force, "Run everything anew");
  command.add_flag("--dry-run", a.dry_run, "Only say what would be run");
}

int plan_and_run(const Preset& preset, const RunArguments& arguments,
                 const std::string& default_out) {
  SweepSetup setup = sweep_setup(arguments, arguments.out.empty() ? default_out : arguments.out);
  setup.jobs = arguments.jobs;
  setup.force = arguments.force;
  const std::vector<Unit> units = plan_units(preset, setup.data_dir);
  if (arguments.dry_run) return print_plan(units, setup);
  if (arguments.commands) return print_commands(units, setup);
  catch_stop_signals();
  const SweepResult result = run_sweep(units, setup);
  if (result.stopped) {
    fmt::print(stderr, "arena: stopped, everything is saved in {}; run the same again to go on\n",
               setup.out);
    return kStoppedExitCode;
  }
  fmt::print("{}", table(result.records, {.stale = is_stale}));
  std::fflush(stdout);
  fmt::print(stderr,
             "\n{} units run, {} done before. Records: {}/cells ({}).\n"
             "More: arena table {} --view speed|memory|accuracy|records --format md|tex|csv|json\n",
             result.done, result.skipped, setup.out, result.records.size(), setup.out);
  if (arguments.report) {
    try {  // what was measured stands in its records, and is good without a page
      write_and_name_report(result.records, {setup.out}, setup.out + "/report.html");
    } catch (const Error& error) {
      fmt::print(stderr, "arena: no report was written: {}\n", error.what());
    }
  }
  if (result.failures() > 0) {
    fmt::print(stderr, "{} cells failed (arena status {}; run them again with --retry FAILED)\n",
               result.failures(), setup.out);
  }
  return result.failures() > 0 ? 1 : 0;
}

}  // namespace arena
