#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/cli/command.hpp"
#include "harness/conformance/oracle.hpp"
#include "harness/sweep/environment.hpp"
#include "harness/sweep/preset.hpp"
#include "results/format.hpp"
#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {
namespace {

using Json = nlohmann::ordered_json;

struct Listing {
  std::vector<std::string> columns;  // the fields that people see
  std::vector<Json> entries;
};

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

/// Place of a class, or of the first one of a mixture, among all.
std::ptrdiff_t rank_of(const std::string& family) {
  const auto found =
      std::ranges::find_if(kFamilies, [&](const char* known) { return family.starts_with(known); });
  return found - kFamilies.begin();
}

Json variant_entry(const Variant& variant) {
  return {{"name", variant.name},
          {"family", variant.family},
          {"year", variant.year},
          {"decode", variant.can_decode()},
          {"exactness", exactness(variant)},
          {"published_row", variant.published_row},
          {"cost", variant.cost},
          {"source", variant.source},
          {"summary", variant.summary},
          {"causal", variant.claims.causal},
          {"cross", variant.claims.cross},
          {"options", options_json(variant.options)}};
}

Listing variants() {
  Listing listing{.columns = {"family", "name", "year", "decode", "exactness", "published_row",
                              "cost", "source"},
                  .entries = {}};
  for (const std::string& name : Registry<Variant>::names()) {
    listing.entries.push_back(variant_entry(Registry<Variant>::find(name)));
  }
  const auto place = [](const Json& entry) {
    const std::string family = entry["family"];
    return std::pair(rank_of(family), family);
  };
  std::ranges::stable_sort(listing.entries, {}, place);
  return listing;
}

Listing tasks() {
  Listing listing{.columns = {"answer", "name", "summary"}, .entries = {}};
  for (const std::string& name : Registry<TaskInfo>::names()) {
    const TaskInfo& task = Registry<TaskInfo>::find(name);
    listing.entries.push_back({{"name", name},
                               {"answer", answer_name(task.answer)},
                               {"summary", task.summary},
                               {"source", task.source},
                               {"options", options_json(task.options)}});
  }
  std::ranges::stable_sort(listing.entries, {},
                           [](const Json& entry) { return entry["answer"].get<std::string>(); });
  return listing;
}

Listing presets() {
  Listing listing{.columns = {"name", "summary"}, .entries = {}};
  for (const BuiltInPreset& built_in : built_in_presets()) {
    const Preset preset = find_preset(built_in.name);
    listing.entries.push_back({{"name", preset.name}, {"summary", preset.summary}});
  }
  return listing;
}

GridCell shown(const Json& value) {
  if (value.is_boolean()) return words(value.get<bool>() ? "yes" : "no");
  if (value.is_number()) return whole(value.get<double>());
  const auto text = value.get<std::string>();
  return words(text.empty() ? "-" : text);
}

int print_listing(const Listing& listing, bool as_json) {
  if (as_json) {
    fmt::print("{}\n", Json(listing.entries).dump(2));
    return 0;
  }
  Grid grid{.columns = listing.columns};
  for (const Json& entry : listing.entries) {
    auto& row = grid.rows.emplace_back();
    for (const std::string& column : listing.columns) row.push_back(shown(entry[column]));
  }
  fmt::print("{}", format_tables({.grids = {grid}}, "text"));
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand("list", "What there is to compare, and on what");
  command->require_subcommand(1);
  command->footer("Examples:\n  arena list variants\n  arena list tasks --json");
  const auto add = [&](const char* name, const char* help, Listing (*listing)()) {
    CLI::App* const what = command->add_subcommand(name, help);
    const auto as_json = std::make_shared<bool>(false);
    what->add_flag("--json", *as_json, "An array of objects with 'name'");
    what->callback([&action, listing, as_json] {
      action = [=] { return print_listing(listing(), *as_json); };
    });
  };
  add("variants", "Attention variants, by the class of their mechanism", variants);
  add("tasks", "Tasks, by the kind of answer", tasks);
  add("presets", "Sweeps that are ready to run", presets);
}

}  // namespace arena
