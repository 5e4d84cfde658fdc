#include "harness/cli/settings.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "harness/core/check.hpp"
#include "harness/train/trainer.hpp"
#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {
namespace {

struct Assignment {
  std::string key, value;
};

Assignment parse_assignment(const std::string& text) {
  const std::size_t equals = text.find('=');
  check(equals != std::string::npos && equals > 0, "--set '{}': expected KEY=VALUE", text);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// Option names of registered entries, with the prefix under which --set knows them.
template <class Entry>
std::vector<std::string> option_keys(const std::vector<std::string>& texts,
                                     const std::string& prefix) {
  std::vector<std::string> keys;
  for (const std::string& text : texts) {
    for (const OptionSpec& spec : Registry<Entry>::find(parse_named(text).name).options) {
      const std::string key = prefix + spec.name;
      if (std::ranges::count(keys, key) == 0) keys.push_back(key);
    }
  }
  return keys;
}

std::vector<std::string> all_keys(const TrainTable& table) {
  std::vector<std::string> keys = option_keys<Variant>(table.variants, "variant.");
  for (const std::string& key : option_keys<TaskInfo>(table.tasks, "task.")) keys.push_back(key);
  for (const OptionSpec& spec : model_options()) keys.push_back("model." + spec.name);
  for (const OptionSpec& spec : train_options()) keys.push_back("train." + spec.name);
  return keys;
}

/// The full key that `key` means.
std::string resolved(const std::string& key, const std::vector<std::string>& known) {
  if (std::ranges::count(known, key) > 0) return key;
  std::vector<std::string> matches;
  for (const std::string& full : known) {
    if (full.substr(full.find('.') + 1) == key) matches.push_back(full);
  }
  check(matches.size() < 2, "--set {}: ambiguous, write one of {}", key, fmt::join(matches, ", "));
  if (matches.empty()) {
    // The nearest of the names as they were written: bare, or with their prefix.
    std::vector<std::string> names = known;
    if (key.find('.') == std::string::npos) {
      for (std::string& name : names) name = name.substr(name.find('.') + 1);
    }
    throw Error("--set: " + unknown_name("key", key, names));
  }
  return matches.front();
}

/// "linformer[rank=64]" with one option changed.
template <class Entry>
std::string with_option(const std::string& text, const std::string& option,
                        const std::string& value) {
  NamedOptions named = parse_named(text);
  const auto& specs = Registry<Entry>::find(named.name).options;
  if (std::ranges::count(specs, option, &OptionSpec::name) == 0) return text;
  named.options[option] = value;
  std::vector<std::string> parts;
  for (const auto& [name, of_name] : named.options) parts.push_back(name + "=" + of_name);
  return fmt::format("{}[{}]", named.name, fmt::join(parts, ","));
}

}  // namespace

void apply_settings(std::span<const std::string> assignments, TrainTable& table) {
  const std::vector<std::string> known = all_keys(table);
  for (const std::string& text : assignments) {
    const Assignment assignment = parse_assignment(text);
    const std::string key = resolved(assignment.key, known);
    const std::string option = key.substr(key.find('.') + 1);
    if (key.starts_with("variant.")) {
      for (std::string& variant : table.variants) {
        variant = with_option<Variant>(variant, option, assignment.value);
        check_variant_text("--set", variant);
      }
    } else if (key.starts_with("task.")) {
      for (std::string& task : table.tasks) {
        task = with_option<TaskInfo>(task, option, assignment.value);
        check_task_text("--set", task);
      }
    } else {
      check_setting("--set", key, assignment.value);
      table.settings[key] = {assignment.value};
    }
  }
}

}  // namespace arena
