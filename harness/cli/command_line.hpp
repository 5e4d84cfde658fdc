#pragma once
// The words after the program's name, as main gets them and as the fuzz target makes them up.

#include "harness/cli/command.hpp"

namespace arena {

/// All commands with their options.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// What the words ask for: a command's action, or to print a help text. Nothing is done yet; the
  /// action may ask which options were given, so it goes before this does. Throws Error, naming the
  /// nearest command or option, on words that no command takes.
  Action parse(int argc, const char* const* argv);

 private:
  CLI::App app_{"Attention Arena: attention variants trained and timed side by side", "arena"};
  Action action_;
};

}  // namespace arena
