#include "harness/cli/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string>
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

}  // namespace

CommandLine::CommandLine() {
  app_.set_version_flag("--version", build_description());
  app_.require_subcommand(1);
  app_.footer(kExamples);
  add_sweep(app_, action_);
  add_train(app_, action_);
  add_bench(app_, action_);
  add_table(app_, action_);
  add_report(app_, action_);
  add_compare(app_, action_);
  add_baseline(app_, action_);
  add_rerun(app_, action_);
  add_submit(app_, action_);
  add_status(app_, action_);
  add_list(app_, action_);
  add_show(app_, action_);
  add_check(app_, action_);
  add_attend(app_, action_);
  add_data(app_, action_);
  add_doctor(app_, action_);
  add_cell(app_, action_);
}

Action CommandLine::parse(int argc, const char* const* argv) {
  action_ = nullptr;
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) throw Error(refusal(app_, error));
    std::ostringstream text;
    app_.exit(error, text, text);
    return [text = text.str()] {
      fmt::print("{}", text);
      return 0;
    };
  }
  return action_;
}

}  // namespace arena
