#pragma once
// The words after the program's name, as main gets them and as the fuzz target makes them up.

#include "harness/cli/command.hpp"

namespace arena {

/// What the words ask for: a command's action, or to print a help text. Nothing is done yet. Throws
/// Error, naming the nearest command or option, on words that no command takes.
Action parse_command_line(int argc, const char* const* argv);

}  // namespace arena
