#pragma once
// The built program, as a person or a script runs it, for tests.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "results/store.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

/// The program (ARENA_BINARY) in a folder of its own.
class Program : public testing::Test {
 protected:
  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name)) << text;
  }

  pid_t start(const std::string& arguments, const std::string& tag = "") const {
    const std::string command =
        fmt::format("cd '{}' && exec '{}' {} >'{}' 2>'{}'", folder_.path(), ARENA_BINARY, arguments,
                    file("out" + tag), file("err" + tag));
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    return child;
  }

  Outcome finish(pid_t child, const std::string& tag = "") const {
    int status = 0;
    ::waitpid(child, &status, 0);
    return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            .out = read_file(file("out" + tag)),
            .err = read_file(file("err" + tag))};
  }

  Outcome run(const std::string& arguments) const { return finish(start(arguments)); }

  /// Bad input: exit code 2, nothing on standard output, one line on standard error.
  void expect_refusal(const std::string& arguments, const std::string& part) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << arguments << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << arguments << ": " << outcome.err;
  }

  /// Waits until the file exists, for a minute at most.
  bool appears(const std::string& path) const {
    for (int i = 0; i < 6000 && !std::filesystem::exists(path); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return std::filesystem::exists(path);
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace arena
