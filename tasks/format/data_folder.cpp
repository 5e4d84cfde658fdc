#include "tasks/format/data_folder.hpp"

#include <fmt/ranges.h>
#include <fnmatch.h>

#include <cstdlib>
#include <filesystem>

#include "harness/core/check.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Throws Error where more than one entry of the pattern's folder matches.
std::string match(const std::string& data_dir, const std::string& pattern,
                  const std::string& task) {
  const fs::path full = fs::path(data_dir) / pattern;
  std::string found;
  std::error_code ignored;  // a folder that is not there has no entries
  for (const fs::directory_entry& entry : fs::directory_iterator(full.parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (::fnmatch(full.filename().c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
    if (name.ends_with(kUnfinished)) continue;
    check(found.empty(), "{}: '{}' and '{}' could both be the data; leave one of them there", task,
          std::min(found, entry.path().string()), std::max(found, entry.path().string()));
    found = entry.path().string();
  }
  return found;
}

}  // namespace

std::string default_data_dir() {
  const std::string told = variable("ARENA_DATA");
  return told.empty() ? (fs::path(variable("HOME")) / ".cache" / "arena").string() : told;
}

std::string find_data(const std::string& data_dir, const WantedData& wanted) {
  const std::string folder = data_dir.empty() ? default_data_dir() : data_dir;
  for (const std::string& pattern : wanted.patterns) {
    const std::string found = match(folder, pattern, wanted.task);
    if (!found.empty()) return found;
  }
  throw Error(fmt::format("{}: no data in '{}' (--data-dir, ARENA_DATA): none of {}; {}",
                          wanted.task, folder, fmt::join(wanted.patterns, ", "), wanted.how_to_get),
              Failure::kNoData);
}

std::array<std::string, 3> find_parts(const std::string& data_dir, const WantedParts& wanted) {
  const auto data_of = [&](const std::string& file, const std::vector<std::string>& folders) {
    WantedData data{.task = wanted.task, .patterns = {}, .how_to_get = wanted.how_to_get};
    for (const std::string& folder : folders) data.patterns.push_back(folder + file);
    return data;
  };
  std::array<std::string, 3> paths;
  paths[0] = find_data(data_dir, data_of(wanted.files[0], wanted.folders));
  const std::string folder = fs::path(paths[0]).parent_path().string();
  for (const std::size_t p : {1U, 2U}) paths[p] = find_data(folder, data_of(wanted.files[p], {""}));
  return paths;
}

}  // namespace arena
