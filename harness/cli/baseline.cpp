#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "harness/cli/command.hpp"
#include "results/sources.hpp"
#include "results/store.hpp"

namespace arena {
namespace {

int list_baselines(bool as_json) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const std::string& name : baseline_names(kBaselines)) {
    const std::vector<Record> records = Store(fmt::format("{}/{}", kBaselines, name)).load();
    const Record newest =
        records.empty() ? Record() : *std::ranges::max_element(records, {}, &Record::date);
    all.push_back({{"name", name},
                   {"records", records.size()},
                   {"date", newest.date},
                   {"git_commit", newest.git_commit},
                   {"cpu", newest.machine.cpu}});
    if (as_json) continue;
    fmt::print("{:<20} {:>5} records  {}  {}  {}\n", name, records.size(), newest.date,
               newest.git_commit.substr(0, 12), newest.machine.cpu);
  }
  if (as_json) fmt::print("{}\n", all.dump(2));
  if (all.empty())
    fmt::print(stderr, "no baseline in {}: arena baseline save NAME DIR\n", kBaselines);
  return 0;
}

}  // namespace

void add_baseline(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("baseline", "Results kept under a name, to compare later ones with");
  command->require_subcommand(1);
  struct Arguments {
    std::string name, dir;
    bool force = false, as_json = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* const save = command->add_subcommand("save", "Copy the records of a result folder");
  save->add_option("NAME", arguments->name, "A plain word")->required();
  save->add_option("DIR", arguments->dir, "Result folder: runs/quick")->required();
  save->add_flag("--force", arguments->force, "Replace a baseline of that name");
  save->callback([arguments, &action] {
    action = [arguments] {
      save_baseline(kBaselines, arguments->name, arguments->dir, arguments->force);
      fmt::print(stderr, "saved {} as {}/{}\n", arguments->dir, kBaselines, arguments->name);
      return 0;
    };
  });
  CLI::App* const list = command->add_subcommand("list", "The saved ones");
  list->add_flag("--json", arguments->as_json, "An array of objects");
  list->callback([arguments, &action] {
    action = [arguments] { return list_baselines(arguments->as_json); };
  });
  command->footer(
      "They are kept in runs/baselines.\n"
      "Example:\n  arena baseline save before runs/quick\n  arena compare before runs/quick");
}

}  // namespace arena
