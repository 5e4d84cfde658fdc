#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "harness/cli/arguments.hpp"
#include "harness/cli/command.hpp"
#include "harness/cli/sweeping.hpp"
#include "harness/core/check.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/program.hpp"
#include "harness/sweep/slurm.hpp"
#include "harness/sweep/sweep.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

constexpr int kMost = 1'000'000;

struct SubmitArguments : UnitArguments {
  std::string preset = "quick", engine = "slurm", out;
  std::vector<std::string> sbatch_words;
  Index limit = 0, cells_per_job = 1;
  bool dry_run = false;
};

std::string absolute(const std::string& path) {
  std::string text = fs::absolute(path).lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

int print_scripts(const SlurmPlan& plan, const SlurmSetup& setup) {
  const std::string folder = slurm_folder(setup.out, plan.batch) + "/";
  const auto print = [&](const std::string& name, const std::string& text) {
    fmt::print("==> {}{} <==\n{}\n", folder, name, text);
  };
  for (const SlurmArray& array : plan.arrays) {
    print(array.name + ".units", array.units);
    print(array.name + ".sh", array.script);
  }
  if (!plan.arrays.empty()) print("tables.sh", plan.tables_script);
  for (const SlurmArray& array : plan.arrays) {
    fmt::print(stderr, "would submit {}: {}\n", array.name, array.what);
  }
  if (!slurm_is_here()) {
    fmt::print(stderr, "no cluster answers here: nothing is known of its queue or limits\n");
  }
  return 0;
}

int submit(SubmitArguments arguments) {
  if (arguments.preset.starts_with("-")) {  // only options of sbatch were given, behind --
    arguments.sbatch_words.insert(arguments.sbatch_words.begin(), arguments.preset);
    arguments.preset = "quick";
  }
  const std::vector<std::string> engines{"slurm"};
  if (arguments.engine != engines.front()) {
    throw Error(unknown_name("engine", arguments.engine, engines));
  }
  const Preset preset = find_preset(arguments.preset);
  SlurmSetup setup{sweep_setup(
      arguments, absolute(arguments.out.empty() ? "runs/" + preset.name : arguments.out))};
  setup.data_dir = absolute(setup.data_dir);
  setup.program = own_program();
  setup.limit = arguments.limit;
  setup.cells_per_job = arguments.cells_per_job;
  setup.sbatch_words = arguments.sbatch_words;
  const std::vector<Unit> units = plan_units(preset, setup.data_dir);
  SlurmPlan plan;
  if (arguments.dry_run) {
    plan = plan_for_slurm(units, setup);
    print_scripts(plan, setup);
  } else {
    for (const SubmittedJob& job : submit_to_slurm(units, setup, plan)) {
      fmt::print("job {}  {}\n", job.id, job.what);
    }
  }
  std::fflush(stdout);
  fmt::print(stderr,
             "{} units done before, {} queued or running already; how far: arena status {}\n",
             plan.done, plan.under_way, setup.out);
  return 0;
}

}  // namespace

void add_submit(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("submit", "Run a sweep on a cluster: arrays of the missing units");
  const auto arguments = std::make_shared<SubmitArguments>();
  SubmitArguments& a = *arguments;
  a.threads = 1;
  command->add_option("PRESET", a.preset, "A preset (arena list presets) or FILE.toml")
      ->capture_default_str();
  command->add_option("--engine", a.engine, "slurm")->capture_default_str();
  command->add_option("--limit", a.limit, "Tasks at once, of trainings and of timings each")
      ->check(CLI::Range(1, kMost));
  command->add_option("--cells-per-job", a.cells_per_job, "Units of a task, one after another")
      ->check(CLI::Range(1, kMost));
  command->add_option("--threads", a.threads, "Cores of a training (--cpus-per-task)")
      ->check(CLI::Range(1, kMostThreads))
      ->capture_default_str();
  command->add_option("--out", a.out, "Result folder, seen by all nodes");
  add_unit_options(*command, a);
  command->add_flag("--dry-run", a.dry_run, "Only print the scripts");
  command->add_option("SBATCH", a.sbatch_words, "Behind --: further options of every job");
  command->footer(
      "Trainings share nodes, timings have one to themselves. A task whose time is nearly up "
      "saves\n"
      "its checkpoint and is submitted again. Submit again whenever something is missing.\n"
      "Examples:\n  arena submit paper --engine slurm --limit 40 -- --partition=cpu "
      "--time=12:00:00\n"
      "  arena submit zoo --cells-per-job 20 --dry-run\n  arena status runs/paper");
  command->callback([arguments, &action] { action = [arguments] { return submit(*arguments); }; });
}

}  // namespace arena
