#include <fmt/format.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/cli/command.hpp"
#include "harness/sweep/environment.hpp"
#include "harness/sweep/preset.hpp"
#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {
namespace {

using Json = nlohmann::ordered_json;

/// Entries under their group's name, groups and names sorted.
using Groups = std::map<std::string, std::vector<Json>>;

const char* answer_name(Answer answer) {
  switch (answer) {
    case Answer::kSequenceLabel:
      return "one label per sequence";
    case Answer::kPositionLabels:
      return "a label per position";
    case Answer::kSequence:
      return "a sequence";
    case Answer::kNodeLabels:
      return "a label per node";
  }
  return "";
}

Json options_json(const std::vector<OptionSpec>& specs) {
  Json list = Json::array();
  for (const OptionSpec& spec : specs) {
    list.push_back({{"name", spec.name},
                    {"default", option_text(spec.fallback)},
                    {"range", option_range(spec)},
                    {"help", spec.help}});
  }
  return list;
}

Groups variant_groups() {
  Groups groups;
  for (const std::string& name : Registry<Variant>::names()) {
    const Variant& variant = Registry<Variant>::find(name);
    groups[variant.family].push_back({{"name", name},
                                      {"family", variant.family},
                                      {"year", variant.year},
                                      {"summary", variant.summary},
                                      {"cost", variant.cost},
                                      {"source", variant.source},
                                      {"causal", variant.claims.causal},
                                      {"cross", variant.claims.cross},
                                      {"options", options_json(variant.options)}});
  }
  return groups;
}

Groups task_groups() {
  Groups groups;
  for (const std::string& name : Registry<TaskInfo>::names()) {
    const TaskInfo& task = Registry<TaskInfo>::find(name);
    groups[answer_name(task.answer)].push_back({{"name", name},
                                                {"answer", answer_name(task.answer)},
                                                {"summary", task.summary},
                                                {"source", task.source},
                                                {"options", options_json(task.options)}});
  }
  return groups;
}

Groups preset_groups() {
  Groups groups;
  for (const BuiltInPreset& built_in : built_in_presets()) {
    const Preset preset = find_preset(built_in.name);
    groups["built in"].push_back({{"name", preset.name}, {"summary", preset.summary}});
  }
  return groups;
}

int print_groups(const Groups& groups, bool as_json) {
  Json all = Json::array();
  for (const auto& [group, entries] : groups) {
    if (!as_json) fmt::print("{}:\n", group);
    for (const Json& entry : entries) {
      all.push_back(entry);
      if (as_json) continue;
      fmt::print("  {:<14} {}\n", entry["name"].get<std::string>(),
                 entry["summary"].get<std::string>());
    }
  }
  if (as_json) fmt::print("{}\n", all.dump(2));
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand("list", "What there is to compare, and on what");
  command->require_subcommand(1);
  command->footer("Examples:\n  arena list variants\n  arena list tasks --json");
  const auto add = [&](const char* name, const char* help, Groups (*groups)()) {
    CLI::App* const what = command->add_subcommand(name, help);
    const auto as_json = std::make_shared<bool>(false);
    what->add_flag("--json", *as_json, "An array of objects with 'name'");
    what->callback(
        [&action, groups, as_json] { action = [=] { return print_groups(groups(), *as_json); }; });
  };
  add("variants", "Attention variants, by family", variant_groups);
  add("tasks", "Tasks, by the kind of answer", task_groups);
  add("presets", "Sweeps that are ready to run", preset_groups);
}

}  // namespace arena
