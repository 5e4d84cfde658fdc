#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>

#include "harness/cli/command.hpp"
#include "harness/core/check.hpp"
#include "harness/sweep/cell.hpp"
#include "harness/sweep/stop.hpp"
#include "harness/sweep/sweep.hpp"
#include "results/compare.hpp"
#include "results/format.hpp"
#include "results/store.hpp"
#include "results/units.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

struct RerunArguments {
  std::string cell, out, data_dir = default_data_dir();
};

OptionTexts texts_of(const OptionValues& values) {
  OptionTexts texts;
  for (const auto& [name, value] : values) texts[name] = option_text(value);
  return texts;
}

/// The unit that has this cell alone; values that this build does not know are an Error.
Unit unit_of(const Record& record, const std::string& data_dir) {
  const Variant& variant = Registry<Variant>::find(record.variant);
  const Options options(variant.name, variant.options, texts_of(record.options));
  Unit unit{.preset = record.preset,
            .cells = {{.id = "", .variant = variant.name, .options = options.values()}}};
  if (record.kind == "bench") {
    unit.shape = {.scope = record.scope,
                  .pass = parse_pass(record.pass),
                  .length = record.length,
                  .heads = record.heads,
                  .head_dim = record.head_dim,
                  .batch = record.batch,
                  .causal = record.causal,
                  .threads = record.threads,
                  .task = record.task.empty() ? "" : named_text(record.task, record.task_options)};
    constexpr std::size_t kUsualRepetitions = 9;  // of a cell that failed
    unit.repetitions =
        static_cast<Index>(record.time_ns.empty() ? kUsualRepetitions : record.time_ns.size());
    return bench_unit(std::move(unit));
  }
  check(record.kind == "train", "a cell of kind '{}': expected train or bench", record.kind);
  const TaskInfo& info = Registry<TaskInfo>::find(record.task);
  const Options task_options(info.name, info.options, texts_of(record.task_options));
  const TaskFacts facts = task_facts(info, task_options, data_dir);
  unit.task = info.name;
  unit.task_options = task_options.values();
  unit.settings = record.settings;
  unit.seed = record.seed;
  unit.dataset_hash = facts.dataset_hash;
  unit.max_len = facts.max_len;
  return train_unit(std::move(unit));
}

/// A folder that goes when the program ends, where no other was asked for.
class RunFolder {
 public:
  explicit RunFolder(std::string asked_for) : path_(std::move(asked_for)) {
    if (!path_.empty()) return;
    path_ = (std::filesystem::temp_directory_path() / "arena-rerun-XXXXXX").string();
    check(::mkdtemp(path_.data()) != nullptr, "cannot make a folder {}", path_);
    own_ = true;
  }
  ~RunFolder() {
    std::error_code error;
    if (own_) std::filesystem::remove_all(path_, error);
  }
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool own_ = false;
};

std::string commit_text(const Record& record) {
  return record.git_commit.substr(0, 12) + (record.git_dirty ? ", modified" : "");
}

std::string machine_text(const Record& record) {
  return fmt::format("{}, {} cores, {} bytes of memory", record.machine.cpu, record.machine.cores,
                     record.machine.memory_bytes);
}

Tables environment_tables(const Record& before, const Record& now) {
  Grid grid{
      .title = "What differs in the environment", .columns = {"what", "was", "is"}, .rows = {}};
  const auto add = [&](const char* what, const std::string& was, const std::string& is) {
    if (was != is) grid.rows.push_back({words(what), words(was), words(is)});
  };
  add("version", before.arena_version, now.arena_version);
  add("commit", commit_text(before), commit_text(now));
  add("code hash", before.code_hash, now.code_hash);
  add("machine", machine_text(before), machine_text(now));
  add("instruction set", before.machine.isa, now.machine.isa);
  add("compiler", before.compiler, now.compiler);
  add("flags", before.flags, now.flags);
  add("data set", before.dataset_hash, now.dataset_hash);
  add("threads", fmt::format("{}", before.threads), fmt::format("{}", now.threads));
  add("status", before.status, now.status);
  if (grid.rows.empty()) return {.grids = {}, .notes = {"The environment is the same."}};
  return {.grids = {std::move(grid)}, .notes = {}};
}

Tables number_tables(const Record& before, const Record& now) {
  Grid grid{.title = "Numbers", .columns = {"what", "was", "is"}, .rows = {}};
  const auto add = [&](const char* what, std::optional<double> Record::*member, double per_unit) {
    if (!(before.*member) && !(now.*member)) return;
    grid.rows.push_back(
        {words(what), number(before.*member, per_unit), number(now.*member, per_unit)});
  };
  add("time, ms", &Record::time_ns_median, kMillisecond);
  add("spread (MAD), ms", &Record::time_ns_mad, kMillisecond);
  add("first call, ms", &Record::time_ns_cold, kMillisecond);
  add("test accuracy, %", &Record::test_accuracy_best, kPercent);
  add("test accuracy of the last step, %", &Record::test_accuracy_last, kPercent);
  add("validation accuracy, %", &Record::validation_accuracy_best, kPercent);
  add("tokens per second", &Record::tokens_per_s, 1);
  add("seconds", &Record::wall_s, 1);
  add("workspace, MiB", &Record::workspace_bytes, kMebibyte);
  add("process peak, MiB", &Record::rss_peak_bytes, kMebibyte);
  add("error against the oracle", &Record::max_error, 1);
  Tables tables{.grids = {std::move(grid)}, .notes = {}};
  if (!before.correct.empty() && !now.correct.empty()) {
    tables.notes.emplace_back(before.correct == now.correct
                                  ? "Every test example is answered as it was."
                                  : "Some test examples are answered otherwise.");
  }
  return tables;
}

int rerun(const RerunArguments& arguments) {
  const Record before = record_from_json(read_file(arguments.cell), arguments.cell);
  const RunFolder folder(arguments.out);
  catch_stop_signals();
  const SweepSetup setup{.out = folder.path(),
                         .data_dir = arguments.data_dir,
                         .threads = before.kind == "train" ? before.threads : 0,
                         .force = true};
  const SweepResult result = run_sweep({unit_of(before, arguments.data_dir)}, setup);
  if (result.stopped) return kStoppedExitCode;
  check(result.records.size() == 1, "{} records of one cell", result.records.size());
  const Record& now = result.records.front();
  fmt::print("{}\n{}", format_tables(environment_tables(before, now), "text"),
             format_tables(number_tables(before, now), "text"));
  if (!now.error.empty()) fmt::print("{}: {}\n", now.status, now.error);
  return result.failures() > 0 ? 1 : 0;
}

}  // namespace

void add_rerun(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("rerun", "Repeat one cell; says what differs, and both numbers");
  const auto arguments = std::make_shared<RerunArguments>();
  command->add_option("CELL", arguments->cell, "A record: runs/quick/cells/ID.json")->required();
  command->add_option("--out", arguments->out, "Result folder; without it nothing is kept");
  command->add_option("--data-dir", arguments->data_dir, "Where data sets are (ARENA_DATA)")
      ->capture_default_str();
  command->footer(
      "A training gives the same weights again, on any number of threads. A timing runs alone "
      "here,\n"
      "not in turns with the others of its group.\n"
      "Example:\n  arena rerun runs/quick/cells/ID.json");
  command->callback([arguments, &action] { action = [arguments] { return rerun(*arguments); }; });
}

}  // namespace arena
