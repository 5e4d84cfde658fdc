// The parts of preset.hpp that hold texts against the registries.

#include <algorithm>

#include "harness/core/check.hpp"
#include "harness/sweep/preset.hpp"
#include "harness/train/trainer.hpp"
#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {
namespace {

std::string prefixed(const std::string& place, const std::string& owner) {
  return place.empty() ? owner : place + ": " + owner;
}

template <class Entry>
void check_named(const std::string& place, const std::string& text) {
  const bool readable = text.find('[') == std::string::npos || text.ends_with(']');
  check(readable && !text.empty(), "{}: expected NAME[key=value,...]",
        prefixed(place, "cannot read '" + text + "'"));
  const NamedOptions named = parse_named(text);
  const std::vector<std::string> known = Registry<Entry>::names();
  if (std::ranges::count(known, named.name) == 0) {
    throw Error(prefixed(place, unknown_name(Entry::kKind, named.name, known)));
  }
  const Options options(prefixed(place, named.name), Registry<Entry>::find(named.name).options,
                        named.options);
}

/// What stands before the options.
std::string name_of(const std::string& text) {
  return text.substr(0, text.find('['));
}

/// Entries that `wanted` picks, as written; texts that pick nothing are added when `add` is set.
std::vector<std::string> picked(const std::vector<std::string>& entries,
                                const std::vector<std::string>& wanted, bool add) {
  std::vector<std::string> result;
  for (const std::string& text : wanted) {
    const bool bare = text.find('[') == std::string::npos;
    bool found = false;
    for (const std::string& entry : entries) {
      if (entry != text && !(bare && name_of(entry) == text)) continue;
      result.push_back(entry);
      found = true;
    }
    if (!found && add) result.push_back(text);
  }
  return result;
}

void select_tasks(Preset& preset, const std::vector<std::string>& wanted) {
  for (const std::string& task : wanted) check_task_text("", task);
  std::vector<std::string> unmatched;
  for (const std::string& task : wanted) {
    const bool known = std::ranges::any_of(preset.train, [&](const TrainTable& table) {
      return !picked(table.tasks, {task}, false).empty();
    });
    if (!known) unmatched.push_back(task);
  }
  for (TrainTable& table : preset.train) {
    table.tasks = picked(table.tasks, wanted, false);
    table.tasks.insert(table.tasks.end(), unmatched.begin(), unmatched.end());
  }
  std::erase_if(preset.train, [](const TrainTable& table) { return table.tasks.empty(); });
}

}  // namespace

std::vector<std::string> every_variant_meant(const std::vector<std::string>& texts) {
  std::vector<std::string> result;
  for (const std::string& text : texts) {
    if (text != kAllVariants) {
      result.push_back(text);
      continue;
    }
    for (const std::string& name : Registry<Variant>::names()) {
      if (std::ranges::count(texts, name, name_of) == 0) result.push_back(name);
    }
  }
  return result;
}

void check_variant_text(const std::string& place, const std::string& text) {
  if (text != kAllVariants) check_named<Variant>(place, text);
}

void check_task_text(const std::string& place, const std::string& text) {
  check_named<TaskInfo>(place, text);
}

void check_setting(const std::string& place, const std::string& key, const std::string& text) {
  const bool of_model = key.starts_with("model.");
  const std::vector<OptionSpec> specs = of_model ? model_options() : train_options();
  const std::string owner = of_model ? "model" : "train";
  check(of_model || key.starts_with("train."), "{}: expected model.NAME or train.NAME",
        prefixed(place, "'" + key + "'"));
  const Options options(prefixed(place, owner), specs, {{key.substr(owner.size() + 1), text}});
}

Preset select(Preset preset, const Selection& selection) {
  for (const std::string& variant : selection.variants) check_variant_text("", variant);
  const std::vector<std::string> variants = every_variant_meant(selection.variants);
  if (!selection.tasks.empty()) select_tasks(preset, selection.tasks);
  for (TrainTable& table : preset.train) {
    if (!variants.empty()) table.variants = picked(table.variants, variants, true);
    if (!selection.seeds.empty()) table.seeds = selection.seeds;
  }
  for (BenchTable& table : preset.bench) {
    if (!variants.empty()) table.variants = picked(table.variants, variants, true);
    if (!selection.lengths.empty()) table.lengths = selection.lengths;
  }
  check(!preset.train.empty() || !preset.bench.empty(), "preset {}: nothing is selected",
        preset.name);
  return preset;
}

}  // namespace arena
