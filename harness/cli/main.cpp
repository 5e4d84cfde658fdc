#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "harness/cli/command_line.hpp"
#include "harness/core/check.hpp"
#include "harness/sweep/stop.hpp"
#include "harness/train/trainer.hpp"

namespace arena {
namespace {

constexpr int kFailedCells = 1;
constexpr int kUsageError = 2;

int run(int argc, char** argv) {
  try {
    CommandLine line;
    return line.parse(argc, argv)();
  } catch (const Error& error) {
    fmt::print(stderr, "arena: {}\n", error.what());
    return kUsageError;
  } catch (const Stopped& stopped) {
    fmt::print(stderr, "arena: {}\n", stopped.what());
    return kStoppedExitCode;
  } catch (const std::exception& error) {
    fmt::print(stderr, "arena: {}\n", error.what());
    return kFailedCells;
  }
}

}  // namespace
}  // namespace arena

int main(int argc, char** argv) {
  return arena::run(argc, argv);
}
