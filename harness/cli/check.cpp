#include <fmt/format.h>

#include "harness/cli/command.hpp"
#include "harness/conformance/conformance.hpp"

namespace arena {
namespace {

constexpr int kGood = 0;
constexpr int kBrokenClaim = 4;

struct Counts {
  int passed = 0, skipped = 0, failed = 0;
};

void run_checks(const ChosenVariant& chosen, const std::vector<std::string>& names,
                Counts& counts) {
  fmt::print("{}\n", chosen.label());
  for (const std::string& name : names) {
    const CheckResult result = run_check(find_check(name), chosen);
    const char* const word = result.passed ? "ok" : result.skipped ? "skipped" : "FAILED";
    const std::string detail = result.detail.empty() ? "" : "  " + result.detail;
    fmt::print("  {:<17} {}{}\n", result.name, word, detail);
    std::fflush(stdout);
    ++(result.passed ? counts.passed : result.skipped ? counts.skipped : counts.failed);
  }
}

int check_variants(const std::vector<std::string>& texts, const std::vector<std::string>& only) {
  const std::vector<std::string> variants = texts.empty() ? Registry<Variant>::names() : texts;
  const std::vector<std::string> names = only.empty() ? check_names() : only;
  // All names are looked up before anything runs: a typing error must not cost a suite.
  std::vector<ChosenVariant> chosen;
  for (const std::string& text : variants) chosen.push_back(choose_variant(text));
  for (const std::string& name : names) find_check(name);
  Counts counts;
  for (const ChosenVariant& one : chosen) run_checks(one, names, counts);
  fmt::print("{} variants: {} checks ok, {} skipped, {} failed\n", chosen.size(), counts.passed,
             counts.skipped, counts.failed);
  return counts.failed == 0 ? kGood : kBrokenClaim;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand("check", "Hold variants to their claims");
  struct Arguments {
    std::vector<std::string> variants, only;
  };
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("variants", arguments->variants, "NAME or NAME[key=value,...]; all if none");
  command->add_option("--only", arguments->only, "Names of checks to run")->delimiter(',');
  command->footer(
      "Examples:\n"
      "  arena check                                      every variant, every check\n"
      "  arena check local linformer[rank=16]\n"
      "  arena check reformer --only oracle_gradients,threads");
  command->callback([&action, arguments] {
    action = [arguments] { return check_variants(arguments->variants, arguments->only); };
  });
}

}  // namespace arena
