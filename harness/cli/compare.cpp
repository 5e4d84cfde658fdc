#include "results/compare.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "harness/cli/command.hpp"
#include "results/format.hpp"
#include "results/sources.hpp"

namespace arena {
namespace {

constexpr int kRegression = 3;

struct CompareArguments {
  std::string base, next, format = "text";
  RelevantEffects effects;
  bool as_json = false;
};

int run_compare(const CompareArguments& arguments) {
  const std::vector<Record> base = load_results(arguments.base, kBaselines);
  const std::vector<Record> next = load_results(arguments.next, kBaselines);
  const ComparisonResult result = compare(base, next, arguments.effects);
  fmt::print("{}", format_tables(comparison_tables(result),
                                 arguments.as_json ? "json" : arguments.format));
  return result.regressed() ? kRegression : 0;
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "compare", "What became slower, bigger or less accurate; then exit code 3");
  const auto arguments = std::make_shared<CompareArguments>();
  CompareArguments& a = *arguments;
  command
      ->add_option("BASE", a.base,
                   "Result folder, saved baseline, record, or Google Benchmark's JSON file")
      ->required();
  command->add_option("NEW", a.next, "The same, of what is to be judged")->required();
  command->add_option("--effect", a.effects.time, "Least relevant change of a median time")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--memory-effect", a.effects.memory, "Least relevant change of memory")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      ->add_option("--accuracy-effect", a.effects.accuracy,
                   "Least relevant difference of accuracies")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--format", a.format, fmt::format("{}", fmt::join(format_names(), ", ")))
      ->capture_default_str();
  command->add_flag("--json", a.as_json, "The same as --format json");
  command->footer(
      "Times count only between runs of one machine. WORSE and better are shown by a test over "
      "all\n"
      "repetitions (or test examples and seeds) and are at least a relevant change; same: such a\n"
      "change is ruled out.\n"
      "Examples:\n  arena baseline save before runs/try\n  arena compare before runs/try\n"
      "  arena compare old.json new.json --effect 0.05");
  command->callback(
      [arguments, &action] { action = [arguments] { return run_compare(*arguments); }; });
}

}  // namespace arena
