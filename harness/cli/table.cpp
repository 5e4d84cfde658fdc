#include "results/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "harness/cli/arguments.hpp"
#include "harness/cli/command.hpp"
#include "harness/sweep/environment.hpp"
#include "results/store.hpp"

namespace arena {
namespace {

int print_table(const std::vector<std::string>& dirs, const TableRequest& request) {
  std::vector<Record> records;
  for (const std::string& dir : dirs) {
    const std::vector<Record> more = Store(dir).load();
    records.insert(records.end(), more.begin(), more.end());
  }
  fmt::print("{}", table(records, request));
  return 0;
}

}  // namespace

void add_table(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand("table", "Tables from the records of sweeps");
  struct Arguments {
    std::vector<std::string> dirs;
    std::string columns;
    bool as_json = false;
    TableRequest request;
  };
  const auto arguments = std::make_shared<Arguments>();
  TableRequest& request = arguments->request;
  request.stale = is_stale;
  command->add_option("DIR", arguments->dirs, "Result folders: runs/quick")->required();
  command->add_option("--view", request.view, fmt::format("{}", fmt::join(view_names(), ", ")))
      ->capture_default_str();
  command
      ->add_option("--format", request.format, fmt::format("{}", fmt::join(table_formats(), ", ")))
      ->capture_default_str();
  command->add_option("--sort", request.sort, "A column; -COLUMN sorts downwards");
  command->add_option("--filter", request.filter,
                      "Regular expression on variant, task, kind, shape and status");
  command->add_option("--columns", arguments->columns, "Only these, in this order: A,B");
  command->add_flag("--json", arguments->as_json, "The same as --format json");
  command->footer(
      "Examples:\n  arena table runs/quick\n"
      "  arena table runs/quick --view accuracy --format tex\n"
      "  arena table runs/a runs/b --view timings --filter 'forward' --sort median_ms "
      "--columns variant,length,median_ms --format csv");
  command->callback([arguments, &action] {
    action = [arguments] {
      TableRequest chosen = arguments->request;
      chosen.columns = parse_list(arguments->columns);
      if (arguments->as_json) chosen.format = "json";
      return print_table(arguments->dirs, chosen);
    };
  });
}

}  // namespace arena
