#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/cli/command.hpp"
#include "harness/core/check.hpp"
#include "harness/data/download.hpp"
#include "harness/data/verify.hpp"
#include "harness/sweep/progress.hpp"
#include "harness/sweep/stop.hpp"
#include "results/format.hpp"
#include "tasks/format/data_folder.hpp"

namespace arena {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMebibyte = 1 << 20;
constexpr Index kShownSamples = 3;

struct DataArguments {
  std::string name, url, out;
  std::string data_dir = default_data_dir();
  std::string split = "train";
  Index count = kShownSamples;
  bool as_json = false;
};

std::string size_text(std::int64_t bytes) {
  return bytes == 0 ? "size not known"
                    : fmt::format("{:.1f} MiB", static_cast<double>(bytes) / kMebibyte);
}

std::string place_of(const RemoteFile& file, const std::string& data_dir) {
  return (std::filesystem::path(data_dir) / file.place).string();
}

/// Each task once, whatever its options.
std::vector<std::string> task_names(const Dataset& dataset) {
  std::vector<std::string> names;
  for (const std::string& text : dataset.tasks) {
    const std::string name = parse_named(text).name;
    if (std::ranges::count(names, name) == 0) names.push_back(name);
  }
  return names;
}

Json entry_of(const Dataset& dataset, const std::string& data_dir) {
  Json files = Json::array();
  for (const RemoteFile& file : dataset.files) {
    const std::string place = place_of(file, data_dir);
    files.push_back({{"place", place},
                     {"url", file.url},
                     {"bytes", file.bytes},
                     {"sha256", file.sha256},
                     {"here", std::filesystem::exists(place)}});
  }
  return {{"name", dataset.name},
          {"summary", dataset.summary},
          {"licence", dataset.licence},
          {"tasks", task_names(dataset)},
          {"files", files}};
}

int list_data(const DataArguments& arguments) {
  Json entries = Json::array();
  for (const std::string& name : Registry<Dataset>::names()) {
    entries.push_back(entry_of(Registry<Dataset>::find(name), arguments.data_dir));
  }
  if (arguments.as_json) {
    fmt::print("{}\n", entries.dump(2));
    return 0;
  }
  for (const std::string& name : Registry<Dataset>::names()) {
    const Dataset& dataset = Registry<Dataset>::find(name);
    fmt::print("{}: {}\n  for      {}\n  licence  {}\n", name, dataset.summary,
               fmt::join(task_names(dataset), ", "), dataset.licence);
    for (const RemoteFile& file : dataset.files) {
      const std::string place = place_of(file, arguments.data_dir);
      fmt::print("  from     {} ({})\n  SHA-256  {}\n  {}  {}\n", file.url, size_text(file.bytes),
                 file.sha256.empty() ? "none was published" : file.sha256,
                 std::filesystem::exists(place) ? "here as " : "not here", place);
    }
  }
  return 0;
}

/// The same file in another place: a mirror's URL names the file, or the folder that it is in.
std::string mirrored(const RemoteFile& file, const Dataset& dataset, const std::string& url) {
  if (url.empty()) return file.url;
  if (dataset.files.size() == 1 && !url.ends_with('/')) return url;
  return url + (url.ends_with('/') ? "" : "/") +
         std::filesystem::path(file.place).filename().string();
}

void get_file(const RemoteFile& file, const std::string& url, const std::string& data_dir) {
  const FileFinding there = check_file(file, data_dir);
  if (there.found) {
    check(there.fault.empty(), "'{}' is there already, but {}; remove it to fetch it again",
          there.path, there.fault);
    fmt::print("{} is there already, SHA-256 {}\n", there.path, there.sha256);
    return;
  }
  StatusLine line;
  line.say(fmt::format("fetching {} ({})", url, size_text(file.bytes)));
  const std::string sum = download(
      {.url = url, .path = there.path, .bytes = file.bytes, .sha256 = file.sha256},
      [&](std::int64_t done, std::int64_t total) {
        line.show(fmt::format("{}: {} of {}", file.place, size_text(done), size_text(total)));
      });
  fmt::print("{}, SHA-256 {}{}\n", there.path, sum,
             file.sha256.empty() ? " (none was published to compare it with)" : " as it should be");
}

int get_data(const DataArguments& arguments) {
  catch_stop_signals();
  const std::vector<const Dataset*> sets = datasets_of(arguments.name);
  check(arguments.url.empty() || sets.size() == 1, "--url is for one data set at a time");
  for (const Dataset* dataset : sets) {
    for (const RemoteFile& file : dataset->files) {
      get_file(file, mirrored(file, *dataset, arguments.url), arguments.data_dir);
    }
  }
  return 0;
}

bool print_file_finding(const RemoteFile& file, const std::string& data_dir) {
  const FileFinding finding = check_file(file, data_dir);
  if (!finding.found) {
    fmt::print("  file {}: not there\n", finding.path);
  } else if (!finding.fault.empty()) {
    fmt::print("  file {}: WRONG, {}\n", finding.path, finding.fault);
  } else {
    fmt::print("  file {}: SHA-256 {} {}\n", finding.path, finding.sha256,
               file.sha256.empty() ? "(none was published)" : "as it should be");
  }
  return finding.fault.empty();
}

void print_task_finding(const TaskFinding& finding) {
  fmt::print("  {}: {}\n", finding.task, finding.status);
  for (const std::string& place : finding.places) fmt::print("    read {}\n", place);
  for (const auto& [name, count] : finding.counts) fmt::print("    {}: {}\n", name, count);
  for (const std::string& remark : finding.remarks) fmt::print("    {}\n", remark);
}

/// A task that is named with its options is checked alone; a data set with all that read it.
std::vector<std::string> tasks_to_check(const std::string& name, const Dataset& dataset) {
  if (dataset.name == name) return dataset.tasks;
  if (parse_named(name).name != name) return {name};
  std::vector<std::string> tasks;
  for (const std::string& text : dataset.tasks) {
    if (parse_named(text).name == name) tasks.push_back(text);
  }
  return tasks;
}

/// 0 where something could be read and nothing is wrong, otherwise 1.
int verify_data(const DataArguments& arguments) {
  bool sound = true;
  Index readable = 0;
  for (const Dataset* dataset : datasets_of(arguments.name)) {
    fmt::print("{}: {}\n", dataset->name, dataset->summary);
    for (const RemoteFile& file : dataset->files) {
      sound = print_file_finding(file, arguments.data_dir) && sound;
    }
    for (const std::string& text : tasks_to_check(arguments.name, *dataset)) {
      const TaskFinding finding = check_task(text, arguments.data_dir);
      print_task_finding(finding);
      sound = sound && finding.status != "ODD" && finding.status != "ERROR";
      readable += finding.status == "OK" || finding.status == "PARTIAL" ? 1 : 0;
    }
  }
  return sound && readable > 0 ? 0 : 1;
}

Split split_named(const std::string& name) {
  const std::vector<std::string> known = {"train", "validation", "test"};
  const auto found = std::ranges::find(known, name);
  if (found == known.end()) throw Error(unknown_name("split", name, known));
  return static_cast<Split>(found - known.begin());
}

int show_data(const DataArguments& arguments) {
  const std::vector<std::string> sets = Registry<Dataset>::names();
  const bool is_set = std::ranges::count(sets, arguments.name) > 0;
  const std::string text =
      is_set ? Registry<Dataset>::find(arguments.name).tasks.front() : arguments.name;
  const Split split = split_named(arguments.split);
  check(arguments.count > 0, "--count {}: expected 1 or more", arguments.count);
  const std::unique_ptr<Task> task = make_reading_task(text, arguments.data_dir);
  fmt::print("{}: {} samples in split {}{}\n", text, task->size(split), arguments.split,
             task->partial() ? " (PARTIAL)" : "");
  for (Index i = 0; i < std::min(arguments.count, task->size(split)); ++i) {
    const Sample sample = task->sample(split, i);
    fmt::print("\nsample {} ({} tokens)\n{}\n", i, token_count(sample), task->describe(sample));
  }
  return 0;
}

int make_data(const DataArguments& arguments) {
  const NamedOptions named = parse_named(arguments.name);
  const TaskInfo& info = Registry<TaskInfo>::find(named.name);
  const Options options(info.name, info.options, named.options);
  check(static_cast<bool>(info.write), "{}: there is no format in which its data is given away",
        info.name);
  const std::unique_ptr<Task> task = info.make({.data_dir = arguments.data_dir}, options);
  check(task->places().empty(), "{}: its samples are read from files, not made", arguments.name);
  StatusLine line;
  info.write(*task, options, arguments.out, [&](Index done, Index total) {
    line.show(fmt::format("{}: {} of {} samples", arguments.name, done, total));
  });
  fmt::print("{}: {} training, {} validation and {} test samples in {}\n", arguments.name,
             task->size(Split::kTrain), task->size(Split::kValidation), task->size(Split::kTest),
             arguments.out);
  return 0;
}

}  // namespace

void add_data(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("data", "Data sets: where they come from, and what is on this machine");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n  arena data list\n  arena data get imdb\n"
      "  arena data get ewt --url https://a.mirror/UD_English-EWT\n"
      "  arena data verify text\n  arena data show image --split test --count 2\n"
      "  arena data make pathfinder[difficulty=easy,examples=1000] --out images");
  const auto add = [&](const char* name, const char* help, int (*run)(const DataArguments&)) {
    CLI::App* const what = command->add_subcommand(name, help);
    const auto arguments = std::make_shared<DataArguments>();
    what->add_option("--data-dir", arguments->data_dir, "Where data sets are (ARENA_DATA)")
        ->capture_default_str();
    what->callback([&action, run, arguments] { action = [=] { return run(*arguments); }; });
    return std::pair(what, arguments);
  };
  const auto add_named = [&](const char* name, const char* help, const char* what,
                             int (*run)(const DataArguments&)) {
    const auto added = add(name, help, run);
    added.first->add_option("NAME", added.second->name, what)->required();
    return added;
  };
  const auto [list, list_arguments] = add("list", "Data sets that tasks read", list_data);
  list->add_flag("--json", list_arguments->as_json, "An array of objects with 'name'");
  const auto [get, get_arguments] =
      add_named("get", "Fetch; goes on where it was cut off", "Data set or task", get_data);
  get->add_option("--url", get_arguments->url, "A mirror's file, or the folder of its files");
  add_named("verify", "Read and check all of it", "Data set or task, such as text", verify_data);
  const auto [show, show_arguments] = add_named(
      "show", "Print samples", "Data set or task, such as listops[max_len=64]", show_data);
  show->add_option("--split", show_arguments->split, "train, validation or test")
      ->capture_default_str();
  show->add_option("--count", show_arguments->count, "So many samples")->capture_default_str();
  const auto [make, make_arguments] =
      add_named("make", "Write generated data in the format of Long Range Arena's release",
                "listops or pathfinder, with options", make_data);
  make->add_option("--out", make_arguments->out, "Folder to write to")->required();
}

}  // namespace arena
