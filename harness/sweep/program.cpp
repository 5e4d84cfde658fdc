#include "harness/sweep/program.hpp"

#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "harness/core/check.hpp"
#include "harness/core/shell.hpp"

namespace arena {

ProgramOutput run_program(const std::vector<std::string>& words) {
  std::string command = "exec";
  for (const std::string& word : words) command += " " + shell_word(word);
  std::FILE* const pipe = ::popen((command + " 2>&1 </dev/null").c_str(), "re");
  check(pipe != nullptr, "cannot run {}: {}", words.front(), std::strerror(errno));
  ProgramOutput output;
  std::array<char, 4096> buffer{};
  for (std::size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.text.append(buffer.data(), count);
  }
  const int status = ::pclose(pipe);
  output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

std::string own_program() {
  const char* const launcher = std::getenv("ARENA_LAUNCHER");
  return launcher != nullptr ? launcher : std::filesystem::read_symlink("/proc/self/exe").string();
}

}  // namespace arena
