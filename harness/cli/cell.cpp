#include "harness/sweep/cell.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "harness/cli/arguments.hpp"
#include "harness/cli/command.hpp"
#include "harness/cli/sweeping.hpp"
#include "harness/core/check.hpp"
#include "harness/sweep/child.hpp"
#include "harness/sweep/stop.hpp"
#include "harness/sweep/sweep.hpp"

namespace arena {
namespace {

struct CellArguments : UnitArguments {
  std::string plan, checkpoint;
  Index index = 0;
  bool inside = false;
};

Unit planned_unit(const CellArguments& arguments) {
  const std::filesystem::path plan(arguments.plan);
  check(plan.filename() == "plan.jsonl", "--plan {}: expected a file DIR/plan.jsonl",
        arguments.plan);
  std::error_code error;
  check(std::filesystem::exists(plan, error), "--plan {}: there is no such file", arguments.plan);
  const std::string dir = plan.parent_path().empty() ? "." : plan.parent_path().string();
  const std::vector<std::string> lines = Store(dir).plan();
  check(arguments.index >= 0 && arguments.index < static_cast<Index>(lines.size()),
        "--index {} is not in 0..{}, the lines of {}", arguments.index,
        static_cast<Index>(lines.size()) - 1, arguments.plan);
  return parse_unit(lines[static_cast<std::size_t>(arguments.index)],
                    fmt::format("{}:{}", arguments.plan, arguments.index + 1));
}

/// The work itself, watched by a process that survives it.
int run_inside(const CellArguments& arguments) {
  obey_parent(parse_bytes(arguments.memory_limit));
  const CellSetup setup{
      .data_dir = arguments.data_dir,
      .checkpoint = arguments.checkpoint,
      .threads = std::max(Index{1}, arguments.threads),
      .stop = &stop_flag(),
      .progress = [](const TrainProgress& progress) { tell_parent({.progress = progress}); },
      .remark = [](const std::string& remark) { tell_parent({.remark = remark}); }};
  for (Record& record : run_unit(planned_unit(arguments), setup)) {
    tell_parent({.record = std::move(record)});
  }
  return 0;
}

int run_cell(const CellArguments& arguments) {
  catch_stop_signals();
  if (arguments.inside) return run_inside(arguments);
  const Unit unit = planned_unit(arguments);
  const std::string dir = std::filesystem::path(arguments.plan).parent_path().string();
  const SweepResult result = run_sweep({unit}, sweep_setup(arguments, dir.empty() ? "." : dir));
  if (result.stopped) return kStoppedExitCode;
  return result.skipped == 0 && result.failures() > 0 ? 1 : 0;
}

}  // namespace

void add_cell(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("cell", "Run one line of a plan: what every engine runs");
  const auto arguments = std::make_shared<CellArguments>();
  CellArguments& a = *arguments;
  command->add_option("--plan", a.plan, "DIR/plan.jsonl of a sweep")->required();
  command->add_option("--index", a.index, "Which line, from 0")->required();
  command->add_option("--threads", a.threads, "Threads of a training; 0: all of this machine");
  add_unit_options(*command, a);
  command->add_option("--checkpoint", a.checkpoint)->group("");
  command->add_flag("--inside", a.inside)->group("");
  command->footer(
      "A cell that is done already ends with exit code 0 at once.\n"
      "Example:\n  arena cell --plan runs/quick/plan.jsonl --index 3");
  command->callback(
      [arguments, &action] { action = [arguments] { return run_cell(*arguments); }; });
}

}  // namespace arena
