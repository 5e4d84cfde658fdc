#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "harness/cli/arguments.hpp"
#include "harness/cli/command.hpp"
#include "harness/cli/settings.hpp"
#include "harness/cli/sweeping.hpp"
#include "harness/core/check.hpp"

namespace arena {
namespace {

struct TrainArguments {
  std::string task, variant, preset;
  std::vector<std::string> set;
  RunArguments run;
};

std::string name_of(const std::string& text) {
  return text.substr(0, text.find('['));
}

/// The preset's table that holds all these tasks, with whatever options.
TrainTable table_of(const Preset& preset, const std::vector<std::string>& tasks) {
  std::vector<std::string> known;
  for (const TrainTable& table : preset.train) {
    std::vector<std::string> held;
    for (const std::string& task : table.tasks) held.push_back(name_of(task));
    const auto holds = [&](const std::string& t) {
      return std::ranges::count(held, name_of(t)) > 0;
    };
    if (std::ranges::all_of(tasks, holds)) return table;
    for (std::string& name : held) {
      if (std::ranges::count(known, name) == 0) known.push_back(std::move(name));
    }
  }
  fail("--preset {}: no [[train]] table of it has {}; it trains on {}", preset.name,
       fmt::join(tasks, " and "),
       known.empty() ? "nothing" : fmt::format("{}", fmt::join(known, ", ")));
}

int train_one(const TrainArguments& arguments) {
  for (const std::string& task : parse_list(arguments.task)) check_task_text("", task);
  for (const std::string& variant : parse_list(arguments.variant)) check_variant_text("", variant);
  Preset preset{.name = "train",
                .summary = "",
                .train = {{.place = "", .variants = {}, .tasks = {}}},
                .bench = {}};
  if (!arguments.preset.empty()) {
    const Preset named = find_preset(arguments.preset);
    preset.name = named.name;
    preset.train = {table_of(named, parse_list(arguments.task))};
  }
  preset = select(std::move(preset), {.variants = parse_list(arguments.variant),
                                      .tasks = parse_list(arguments.task),
                                      .lengths = {},
                                      .seeds = parse_seeds(arguments.run.seeds)});
  apply_settings(arguments.set, preset.train.front());
  return plan_and_run(preset, arguments.run, "runs/" + preset.name);
}

}  // namespace

void add_train(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("train", "Train a variant on a task; goes on where it was stopped");
  const auto arguments = std::make_shared<TrainArguments>();
  TrainArguments& a = *arguments;
  command->add_option("--task", a.task, "Such as listops[max_len=128]")->required();
  command->add_option("--variant", a.variant, "Such as linformer[rank=16]")->required();
  command->add_option("--preset", a.preset, "Take model and training settings from this preset");
  command->add_option("--set", a.set, "KEY=VALUE of variant., task., model. or train.; repeatable")
      ->type_size(1)
      ->allow_extra_args(false);
  add_run_options(*command, a.run);
  command->footer(
      "The same command again shows the result, or goes on with what was stopped.\n"
      "Examples:\n  arena train --task recall --variant linformer --set rank=16 --seeds 0,1\n"
      "  arena train --task recall --variant dense --preset quick --set train.steps=300");
  command->callback(
      [arguments, &action] { action = [arguments] { return train_one(*arguments); }; });
}

}  // namespace arena
