#include "harness/attend/attend.hpp"

#include <fmt/format.h>

#include <charconv>

#include "harness/cli/command.hpp"
#include "harness/core/team.hpp"
#include "harness/model/make.hpp"

namespace arena {
namespace {

constexpr Index kMostThreads = 4096;

constexpr const char* kHelp = R"(
In: float32 query [query_len, heads, head_dim], key, value [key_len, heads, head_dim] (or the inputs
that `arena show` names), or x [len, model_dim] (context [context_len, model_dim]) for the layer with
its projections; optional d_out shaped like the output, edges [count, 2], grid [2], globals [count], plan_NAME (int64), and the
variant's own parameters and buffers by name.
Out: out, log_sum_exp where defined, with d_out the gradients d_NAME, and all parameters used: those
not given are made from --seed.

--set takes options of the variant and
  max_len=N   parameters are made for N keys (as many as there are)
  heads=H     heads of the layer form, since x does not tell (1)

Examples:
  arena attend --variant blocked --in qkv.safetensors --out out.safetensors --causal
  arena attend --variant linformer --set rank=16 --in qkv.safetensors --out out.safetensors)";

struct AttendArguments {
  std::string variant, in, out;
  std::vector<std::string> settings;
  bool causal = false;
  std::uint64_t seed = 0;
  Index threads = 1;
};

/// Takes `name` out of the settings as a positive number; 0 when it is not there.
Index take_number(OptionTexts& settings, const std::string& name) {
  const auto found = settings.find(name);
  if (found == settings.end()) return 0;
  const OptionSpec spec = integer_option(name, 1, 1, Index{1} << 40, "");
  const Index value = std::get<Index>(parse_option("attend", spec, found->second));
  settings.erase(found);
  return value;
}

OptionTexts parse_settings(const std::vector<std::string>& settings) {
  const std::string prefix = "variant.";
  OptionTexts texts;
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    check(equals != std::string::npos && equals > 0, "--set '{}' is not KEY=VALUE", setting);
    std::string key = setting.substr(0, equals);
    if (key.starts_with(prefix)) key.erase(0, prefix.size());
    check(texts.emplace(key, setting.substr(equals + 1)).second, "--set names '{}' twice", key);
  }
  return texts;
}

int run_attend(const AttendArguments& arguments) {
  check(arguments.threads >= 1 && arguments.threads <= kMostThreads, "--threads={} is not in 1..{}",
        arguments.threads, kMostThreads);
  NamedOptions named = parse_named(arguments.variant);
  const Variant& variant = Registry<Variant>::find(named.name);
  OptionTexts settings = parse_settings(arguments.settings);
  const auto own = [&](const char* name) {
    return std::ranges::count(variant.options, name, &OptionSpec::name) > 0;
  };
  AttendJob job{.variant = variant, .options = {}};
  if (!own("max_len")) job.max_len = take_number(settings, "max_len");
  if (!own("heads")) job.num_heads = take_number(settings, "heads");
  for (const auto& [key, value] : settings) {
    check(named.options.emplace(key, value).second, "option '{}' stands in --variant and in --set",
          key);
  }
  job.options = Options(variant.name, variant.options, named.options);
  job.causal = arguments.causal;
  job.seed = arguments.seed;
  job.threads = arguments.threads;
  write_safetensors(arguments.out, attend(job, read_safetensors(arguments.in), arguments.in));
  return 0;
}

}  // namespace

void add_attend(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("attend", "Run a variant on tensors from a safetensors file");
  const auto arguments = std::make_shared<AttendArguments>();
  AttendArguments& to = *arguments;
  command->add_option("--variant", to.variant, "NAME or NAME[key=value,...]")->required();
  command->add_option("--set", to.settings, "KEY=VALUE, an option of the variant; may be repeated")
      ->take_all();
  command->add_option("--in", to.in, "safetensors file")->required();
  command->add_option("--out", to.out, "safetensors file")->required();
  command->add_flag("--causal", to.causal, "no row sees a later one");
  command->add_option("--seed", to.seed, "of parameters that are not given (0)");
  command->add_option("--threads", to.threads, "threads (1)");
  command->footer(kHelp);
  command->callback(
      [&action, arguments] { action = [arguments] { return run_attend(*arguments); }; });
}

}  // namespace arena
