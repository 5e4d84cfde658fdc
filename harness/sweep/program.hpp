#pragma once
// Other programs, run for what they print.

#include <string>
#include <vector>

namespace arena {

struct ProgramOutput {
  int exit_code = 0;   // 127: there is no such program
  std::string text{};  // standard output and error
};

/// Runs the program (looked for in PATH) and waits for its end.
ProgramOutput run_program(const std::vector<std::string>& words);

/// What starts this program again, on this machine or another that sees its files: the launcher of
/// an installed tree, which picks the build for its machine, or this very file.
std::string own_program();

}  // namespace arena
