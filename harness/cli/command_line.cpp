#include "harness/cli/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/check.hpp"
#include "harness/sweep/environment.hpp"

namespace arena {
namespace {

constexpr const char* kExamples = R"(Examples:
  arena sweep                                     compare, train and time: preset quick
  arena list variants                             what there is
  arena show linformer                            one of them in full
  arena train --task recall --variant linformer[rank=16]
  arena table runs/quick --view speed --format md
  arena report runs/quick --out quick.html
Every command has its own --help.)";

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

/// The command that was named, below others.
const CLI::App& innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost(*chosen.front());
}

/// "arena list variants".
std::string full_name(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return app.get_name() + (chosen.empty() ? "" : " " + full_name(*chosen.front()));
}

/// One line for what the parser refused, with the nearest command or option.
std::string refusal(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = innermost(app);
  const std::vector<std::string> extras = app.remaining(true);
  if (!extras.empty() && extras.front().starts_with("-")) {
    const std::string name = extras.front().substr(0, extras.front().find('='));
    return unknown_name("option", name, option_names(command));
  }
  std::vector<std::string> below;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    below.push_back(sub->get_name());
  }
  if (!extras.empty() && !below.empty()) return unknown_name("command", extras.front(), below);
  std::string text = error.what();
  if (!extras.empty()) text = fmt::format("unexpected argument '{}'", extras.front());
  std::ranges::replace(text, '\n', ' ');
  return fmt::format("{} ({} --help)", text, full_name(app));
}

struct Command {
  std::string_view name;
  void (*add)(CLI::App&, Action&);
};

/// In the order of the help text.
constexpr Command kCommands[] = {
    {"sweep", add_sweep},       {"train", add_train},   {"bench", add_bench},
    {"table", add_table},       {"report", add_report}, {"compare", add_compare},
    {"baseline", add_baseline}, {"rerun", add_rerun},   {"submit", add_submit},
    {"status", add_status},     {"list", add_list},     {"show", add_show},
    {"check", add_check},       {"attend", add_attend}, {"data", add_data},
    {"doctor", add_doctor},     {"cell", add_cell},
};

/// Where there is a first word and it is no option, only the command that it names.
void add_commands(int argc, const char* const* argv, CLI::App& app, Action& action) {
  app.set_version_flag("--version", build_description());
  app.require_subcommand(1);
  app.footer(kExamples);
  const bool all = argc < 2 || *argv[1] == '-';
  std::vector<std::string> names;
  for (const auto& [name, add] : kCommands) {
    if (all || name == argv[1]) add(app, action);
    names.emplace_back(name);
  }
  if (!all && std::ranges::count(names, argv[1]) == 0) {
    throw Error(unknown_name("command", argv[1], names));
  }
}

}  // namespace

Action parse_command_line(int argc, const char* const* argv) {
  const auto app = std::make_shared<CLI::App>(
      "Attention Arena: attention variants trained and timed side by side", "arena");
  Action action;
  add_commands(argc, argv, *app, action);
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) throw Error(refusal(*app, error));
    std::ostringstream text;
    app->exit(error, text, text);
    return [text = text.str()] {
      fmt::print("{}", text);
      return 0;
    };
  }
  return [app, action] { return action(); };  // which may ask what options were given
}

}  // namespace arena
