#include "harness/sweep/environment.hpp"

#include <fmt/chrono.h>

#include <algorithm>
#include <chrono>

#include "harness/machine/machine.hpp"
#include "harness/sweep/build_info.hpp"
#include "harness/sweep/unit.hpp"

namespace arena {
namespace {

std::string text_of(std::span<const BuildText> entries, std::string_view name) {
  const auto found = std::ranges::find(entries, name, &BuildText::name);
  return std::string(found == entries.end() ? std::string_view() : found->text);
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

}  // namespace

std::string arena_version() {
  return ARENA_VERSION;
}

std::string build_description() {
  const std::string commit = text_of(git_state(), "commit");
  const bool dirty = !text_of(git_state(), "dirty").empty();
  return fmt::format("{} ({}{}; {}; {})", ARENA_VERSION,
                     commit.empty() ? "no commit" : "commit " + commit.substr(0, 12),
                     dirty ? ", modified" : "", ARENA_COMPILER, ARENA_FLAGS);
}

std::string code_hash(const std::string& kind, const std::string& variant,
                      const std::string& task) {
  std::string all = text_of(variant_hashes(), variant);
  if (all.empty()) return "unknown";
  all += text_of(shared_hashes(), "engine") + text_of(shared_hashes(), kind);
  if (kind == "train") {
    const std::string of_task = text_of(task_hashes(), task);
    if (of_task.empty()) return "unknown";
    all += of_task;
  }
  return content_id(all).substr(0, 16);
}

bool is_stale(const Record& record) {
  return record.code_hash != code_hash(record.kind, record.variant, record.task);
}

void stamp(Record& record) {
  record.arena_version = arena_version();
  record.code_hash = code_hash(record.kind, record.variant, record.task);
  record.git_commit = text_of(git_state(), "commit");
  record.git_dirty = !text_of(git_state(), "dirty").empty();
  record.date = utc_now();
  record.machine = machine_info();
  record.compiler = ARENA_COMPILER;
  record.flags = ARENA_FLAGS;
}

const std::vector<BuiltInPreset>& built_in_presets() {
  static const std::vector<BuiltInPreset> presets = [] {
    std::vector<BuiltInPreset> all;
    for (const BuildText& entry : preset_texts()) {
      all.push_back({std::string(entry.name), std::string(entry.text)});
    }
    return all;
  }();
  return presets;
}

}  // namespace arena
