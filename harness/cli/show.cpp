#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "harness/cli/arguments.hpp"
#include "harness/cli/command.hpp"
#include "harness/conformance/oracle.hpp"
#include "harness/core/check.hpp"
#include "harness/model/heads.hpp"
#include "harness/sweep/environment.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {
namespace {

constexpr Index kShownSamples = 3;

std::string claims_text(const Claims& claims) {
  std::vector<std::string> words;
  if (claims.causal) words.emplace_back("causal");
  if (claims.cross) words.emplace_back("cross attention");
  if (claims.log_sum_exp) words.emplace_back("log-sum-exp");
  if (claims.convex) words.emplace_back("convex");
  if (claims.equivariant) words.emplace_back("permutation-equivariant");
  if (claims.streams) words.emplace_back("streams");
  if (claims.pattern) words.emplace_back("equals exact attention under its pattern");
  if (claims.reference) words.emplace_back("equals its own explicit formula");
  for (const ExactCase& exact : claims.exact) words.push_back("exact: " + exact.name);
  for (const Estimator& estimator : claims.estimators)
    words.push_back("estimates " + estimator.name);
  return fmt::format("{}", fmt::join(words, "; "));
}

std::string scope_name(Sharing scope) {
  switch (scope) {
    case Sharing::kHead:
      return "per head";
    case Sharing::kLayer:
      return "per layer";
    case Sharing::kModel:
      return "per model";
  }
  return "";
}

void print_slices(const char* title, std::span<const ParameterSpec> specs) {
  for (const ParameterSpec& spec : specs) {
    fmt::print("{:<12} {} [{}, {}] {}\n", title, spec.name, spec.rows, spec.cols,
               scope_name(spec.sharing));
  }
}

/// Keys and values have M rows, all others N.
void print_inputs(const AttentionHead& head, Index head_dim) {
  const InputNames names = input_names(head);
  for (std::size_t slot = 0; slot < names.size(); ++slot) {
    if (names[slot].empty()) continue;
    const char* const rows = slot == 1 || slot == 2 ? "M" : "N";
    fmt::print("  input      {} [{}, {}] per head\n", names[slot], rows, head_dim);
  }
}

/// Inputs, parameters and buffers at a plain setup, so that their shapes can be seen.
void print_shapes(const Variant& variant, const Options& options) {
  const Setup setup{.num_heads = 2, .head_dim = 32, .model_dim = 64, .max_len = 512};
  std::unique_ptr<Component> component;
  fmt::print("at max_len {}, {} heads of {}:\n", setup.max_len, setup.num_heads, setup.head_dim);
  if (variant.make_head) {
    std::unique_ptr<AttentionHead> head = variant.make_head(setup, options);
    print_inputs(*head, setup.head_dim);
    component = std::move(head);
  }
  if (variant.make_layer) component = variant.make_layer(setup, options);
  if (variant.make_encoder) component = variant.make_encoder(setup, options);
  if (!component) return;
  print_slices("  parameter", component->parameters());
  print_slices("  buffer", component->buffers());
}

std::string decode_text(const Variant& variant, const Options& options) {
  if (!variant.can_decode()) return "no";
  const auto& [longest, reason] = variant.decoding_limit;
  return longest ? fmt::format("up to {} tokens: {}", longest(options), reason) : "yes";
}

int show_variant(const NamedOptions& named) {
  const Variant& variant = Registry<Variant>::find(named.name);
  const Options options(variant.name, variant.options, named.options);
  fmt::print("{}{}: {}\n", variant.name, options.difference(variant.options), variant.summary);
  fmt::print("family       {}, {}\n", variant.family, variant.year);
  fmt::print("exactness    {}\n", exactness(variant));
  fmt::print("decode       {}\n", decode_text(variant, options));
  fmt::print("LRA's row    {}\n", variant.published_row.empty() ? "-" : variant.published_row);
  fmt::print("cost         {}\n", variant.cost);
  fmt::print("source       {}\n", variant.source);
  fmt::print("held to      {}\n", claims_text(variant.claims));
  fmt::print("level        {}\n", variant.make_head    ? "one head"
                                  : variant.make_layer ? "a layer with its projections"
                                                       : "an encoder layer with its streams");
  if (!variant.options.empty()) {
    fmt::print("options (name, default, range):\n{}", options_text(variant.options));
  }
  print_shapes(variant, options);
  return 0;
}

void print_samples(const Task& task) {
  for (Index i = 0; i < std::min(kShownSamples, task.size(Split::kTrain)); ++i) {
    const Sample sample = task.sample(Split::kTrain, i);
    fmt::print("training sample {} ({} {}):\n{}\n", i, token_count(sample),
               task.answer() == Answer::kNodeLabels ? "nodes" : "tokens", task.describe(sample));
  }
}

int show_task(const NamedOptions& named, const std::string& data_dir, bool baselines) {
  const TaskInfo& info = Registry<TaskInfo>::find(named.name);
  const Options options(info.name, info.options, named.options);
  fmt::print("{}{}: {}\n", info.name, options.difference(info.options), info.summary);
  fmt::print("source       {}\n", info.source);
  if (!info.options.empty()) {
    fmt::print("options (name, default, range):\n{}", options_text(info.options));
  }
  const std::unique_ptr<Task> task = info.make({.data_dir = data_dir}, options);
  fmt::print("classes      {}\nvocabulary   {}\nmax_len      {}\n", task->num_classes(),
             task->vocab_size(), task->max_len());
  fmt::print("samples      {} train, {} validation, {} test\n", task->size(Split::kTrain),
             task->size(Split::kValidation), task->size(Split::kTest));
  fmt::print("data hash    {}{}\n", task->dataset_hash(), task->partial() ? " (PARTIAL)" : "");
  for (const auto& [name, count] : task->counts()) fmt::print("{}: {}\n", name, count);
  print_samples(*task);
  if (!baselines) return 0;
  for (const Baseline& baseline : task->baselines()) {
    fmt::print("baseline     {}: {:.1f} % of the test split\n", baseline.name,
               100 * baseline.accuracy);
  }
  return 0;
}

int show(const std::string& text, const std::string& data_dir, bool baselines) {
  const NamedOptions named = parse_named(text);
  std::vector<std::string> known = Registry<Variant>::names();
  if (std::ranges::count(known, named.name) > 0) return show_variant(named);
  const std::vector<std::string> tasks = Registry<TaskInfo>::names();
  if (std::ranges::count(tasks, named.name) > 0) return show_task(named, data_dir, baselines);
  known.insert(known.end(), tasks.begin(), tasks.end());
  for (const BuiltInPreset& preset : built_in_presets()) {
    if (preset.name == named.name) {
      fmt::print("{}", preset.text);
      return 0;
    }
    known.push_back(preset.name);
  }
  throw Error(unknown_name("variant, task or preset", named.name, known));
}

}  // namespace

void add_show(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("show", "One variant, task or preset: options, formulas, samples");
  const auto name = std::make_shared<std::string>();
  const auto data_dir = std::make_shared<std::string>(default_data_dir());
  const auto baselines = std::make_shared<bool>(false);
  command->add_option("NAME", *name, "linformer, listops[max_len=128], quick")->required();
  command->add_option("--data-dir", *data_dir, "Where data sets are (ARENA_DATA)")
      ->capture_default_str();
  command->add_flag("--baselines", *baselines, "Also compute what a task's scores must beat");
  command->footer(
      "Examples:\n  arena show linformer\n  arena show listops[max_len=64] --baselines");
  command->callback([=, &action] { action = [=] { return show(*name, *data_dir, *baselines); }; });
}

}  // namespace arena
