#include <memory>

#include "harness/cli/arguments.hpp"
#include "harness/cli/command.hpp"
#include "harness/cli/sweeping.hpp"
#include "harness/core/check.hpp"

namespace arena {
namespace {

struct SweepArguments {
  std::string preset = "quick", variants, tasks, lengths;
  RunArguments run;
};

int sweep(const SweepArguments& arguments) {
  Selection selection{.variants = parse_list(arguments.variants),
                      .tasks = parse_list(arguments.tasks),
                      .lengths = {},
                      .seeds = parse_seeds(arguments.run.seeds)};
  if (!arguments.lengths.empty()) selection.lengths = parse_lengths(arguments.lengths);
  const Preset preset = select(find_preset(arguments.preset), selection);
  RunArguments run = arguments.run;
  run.report = true;
  return plan_and_run(preset, run, "runs/" + preset.name);
}

}  // namespace

void add_sweep(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("sweep", "Train and time many variants; ends in a table and a report");
  const auto arguments = std::make_shared<SweepArguments>();
  SweepArguments& a = *arguments;
  command->add_option("PRESET", a.preset, "A preset (arena list presets) or FILE.toml")
      ->capture_default_str();
  command->add_option("--variants", a.variants, "Only these, or others: A,B[rank=8]");
  command->add_option("--tasks", a.tasks, "Only these, or others");
  command->add_option("--lengths", a.lengths, "Lengths of timings: 256,1024 or 256:4096:x2");
  add_run_options(*command, a.run);
  command
      ->add_flag("--commands", a.run.commands,
                 "Only write the plan, and print a command for each missing unit")
      ->excludes("--force");
  command->footer(
      "What is done already is not run again; a sweep may be killed at any time and run again.\n"
      "Examples:\n  arena sweep\n  arena sweep quick --variants dense,local[window=4] --seeds "
      "0,1,2\n"
      "  arena sweep my.toml --out runs/mine --jobs 2 --time-limit 600 --memory-limit 4G\n"
      "  arena sweep quick --retry FAILED\n"
      "  arena sweep zoo --commands --threads 1 | parallel -j 4");
  command->callback([arguments, &action] { action = [arguments] { return sweep(*arguments); }; });
}

}  // namespace arena
