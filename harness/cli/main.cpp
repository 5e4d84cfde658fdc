#include <cstdio>

#include "harness/cli/command.hpp"
#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr int kUsageError = 2;

int run(int argc, char** argv) {
  CLI::App app{"Attention Arena: attention variants trained and timed side by side"};
  app.require_subcommand(1);
  Action action;
  add_check(app, action);
  add_list(app, action);
  add_bench(app, action);
  add_attend(app, action);
  add_doctor(app, action);
  try {
    app.parse(argc, argv);
    return action();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  } catch (const Error& error) {
    fmt::print(stderr, "arena: {}\n", error.what());
    return kUsageError;
  }
}

}  // namespace
}  // namespace arena

int main(int argc, char** argv) {
  return arena::run(argc, argv);
}
