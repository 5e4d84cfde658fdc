#include <fmt/format.h>

#include "harness/cli/command.hpp"
#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {
namespace {

template <class Entry>
int list_entries() {
  for (const std::string& name : Registry<Entry>::names()) {
    fmt::print("{:<12} {}\n", name, Registry<Entry>::find(name).summary);
  }
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand("list", "What there is to compare, and on what");
  command->require_subcommand(1);
  command->add_subcommand("variants", "Attention variants")->callback([&action] {
    action = list_entries<Variant>;
  });
  command->add_subcommand("tasks", "Tasks")->callback([&action] {
    action = list_entries<TaskInfo>;
  });
}

}  // namespace arena
