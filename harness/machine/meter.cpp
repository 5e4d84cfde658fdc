#include "harness/machine/meter.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>

#include "harness/core/check.hpp"

namespace arena {
namespace {

std::string& program_that_measures() {
  static std::string program;
  return program;
}

/// A pipe from a child; both ends are closed at the end of the scope.
class Pipe {
 public:
  Pipe() { check(pipe2(ends_.data(), O_CLOEXEC) == 0, "no pipe: {}", std::strerror(errno)); }
  ~Pipe() {
    close_writer();
    close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int writer() const { return ends_[1]; }
  void close_writer() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }
  /// All that is written until the last writer closes.
  std::string read_all() const {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
      const ssize_t count = read(ends_[0], buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return text;
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

 private:
  std::array<int, 2> ends_{};
};

/// Waits for the process; 0 to 255 its exit code, -N when signal N ended it.
int wait_for(pid_t process) {
  int status = 0;
  while (waitpid(process, &status, 0) < 0) {
    check(errno == EINTR, "cannot wait for process {}: {}", process, std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

void reset_resident_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

Index resident_peak_bytes() {
  std::ifstream status("/proc/self/status");
  const std::string key = "VmHWM:";
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const std::size_t begin = line.find_first_of("0123456789");
    Index kibibytes = 0;
    if (begin == std::string::npos) break;
    std::from_chars(line.data() + begin, line.data() + line.size(), kibibytes);
    return kibibytes * 1024;
  }
  fail("no VmHWM in /proc/self/status: resident memory cannot be measured here");
}

ProgramResult run_program(const std::string& program, std::span<const std::string> arguments) {
  std::vector<std::string> texts{program};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(texts.size() + 1);
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);

  Pipe output;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output.writer(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.writer(), STDERR_FILENO);
  pid_t process = 0;
  const int error = posix_spawn(&process, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  check(error == 0, "cannot start '{}': {}", program, std::strerror(error));
  output.close_writer();
  std::string text = output.read_all();
  return {wait_for(process), std::move(text)};
}

const std::string& memory_program() {
  return program_that_measures();
}

void set_memory_program(const std::string& program) {
  program_that_measures() = program;
}

}  // namespace arena
