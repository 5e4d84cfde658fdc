#include "harness/data/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "harness/data/sha256.hpp"

namespace arena {
namespace {

constexpr const char* kPartial = "partial";
constexpr const char* kData = "data";  // of tasks that also generate their samples

/// Names of the data sets and of the tasks that read them.
std::vector<std::string> known_names() {
  std::vector<std::string> names = Registry<Dataset>::names();
  for (const std::string& name : Registry<Dataset>::names()) {
    for (const std::string& task : Registry<Dataset>::find(name).tasks) {
      names.push_back(parse_named(task).name);
    }
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

/// Whether one of the data set's tasks is the named one, with no option that differs from its own.
bool reads(const NamedOptions& task, const Dataset& dataset) {
  return std::ranges::any_of(dataset.tasks, [&](const std::string& text) {
    const NamedOptions known = parse_named(text);
    return known.name == task.name && std::ranges::none_of(known.options, [&](const auto& option) {
             const auto given = task.options.find(option.first);
             return given != task.options.end() && given->second != option.second;
           });
  });
}

std::string with_data_dir(std::string text, const std::string& data_dir) {
  const std::size_t mark = text.find(kDataDirMark);
  if (mark != std::string::npos) text.replace(mark, std::string(kDataDirMark).size(), data_dir);
  return text;
}

}  // namespace

std::vector<const Dataset*> datasets_of(const std::string& name) {
  const std::vector<std::string> known = known_names();
  const NamedOptions named = parse_named(name);
  if (std::ranges::count(known, named.name) == 0) {
    throw Error(unknown_name("data set, or task that reads one,", named.name, known));
  }
  std::vector<const Dataset*> sets;
  for (const std::string& candidate : Registry<Dataset>::names()) {
    const Dataset& dataset = Registry<Dataset>::find(candidate);
    if (candidate == name || reads(named, dataset)) sets.push_back(&dataset);
  }
  check(!sets.empty(), "{} reads no data set", name);
  return sets;
}

std::unique_ptr<Task> make_reading_task(const std::string& text, const std::string& data_dir) {
  NamedOptions named = parse_named(text);
  const TaskInfo& info = Registry<TaskInfo>::find(named.name);
  for (auto& [key, value] : named.options) value = with_data_dir(value, data_dir);
  const auto has = [&](const char* option) {
    return std::ranges::count(info.options, option, &OptionSpec::name) > 0;
  };
  const auto data = named.options.find(kData);
  const bool reads_files =
      has(kData) ? data != named.options.end() && data->second != "generated" : true;
  if (reads_files && has(kPartial)) named.options.emplace(kPartial, "true");
  return info.make({.data_dir = data_dir}, Options(named.name, info.options, named.options));
}

FileFinding check_file(const RemoteFile& file, const std::string& data_dir) {
  FileFinding finding{.path = (std::filesystem::path(data_dir) / file.place).string()};
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(finding.path, error);
  if (error) return finding;
  finding.found = true;
  finding.sha256 = sha256_of_file(finding.path);
  if (file.bytes > 0 && bytes != static_cast<std::uintmax_t>(file.bytes)) {
    finding.fault = fmt::format("{} bytes, expected {}", bytes, file.bytes);
  } else if (!file.sha256.empty() && finding.sha256 != file.sha256) {
    finding.fault = fmt::format("SHA-256 is {}, expected {}", finding.sha256, file.sha256);
  }
  return finding;
}

TaskFinding check_task(const std::string& text, const std::string& data_dir) {
  TaskFinding finding{.task = text, .status = "OK"};
  try {
    const std::unique_ptr<Task> task = make_reading_task(text, data_dir);
    finding.places = task->places();
    finding.counts = task->counts();
    finding.remarks = task->oddities();
    for (const auto& [split, name] : {std::pair(Split::kTrain, "training samples"),
                                      {Split::kValidation, "validation samples"},
                                      {Split::kTest, "test samples"}}) {
      finding.counts[name] = static_cast<double>(task->size(split));
    }
    if (task->partial()) finding.status = "PARTIAL";
    if (!finding.remarks.empty()) finding.status = "ODD";
  } catch (const Error& error) {
    finding.status = error.failure() == Failure::kNoData ? "NO_DATA" : "ERROR";
    finding.remarks = {error.what()};
  }
  return finding;
}

}  // namespace arena
