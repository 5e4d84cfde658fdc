#include "harness/bench/bench.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "harness/bench/google.hpp"
#include "harness/cli/bench_arguments.hpp"
#include "harness/cli/bench_table.hpp"
#include "harness/cli/command.hpp"
#include "harness/machine/machine.hpp"
#include "harness/machine/meter.hpp"
#include "harness/machine/peak.hpp"
#include "harness/sweep/cell.hpp"
#include "harness/sweep/unit.hpp"
#include "results/store.hpp"

namespace arena {
namespace {

constexpr int kSomeFailed = 1;

constexpr const char* kExamples = R"(
Examples:
  arena bench                                       every variant, forward, lengths 256 to 4096
  arena bench --variants dense,blocked --lengths 1024:16384:x2 --pass train --threads 1,2
  arena bench --variants "local[window=64]" --causal --json
  arena bench --variants blocked --pass train --threads 2 --against torch,onnxruntime
  arena bench --scope step --lengths 1024,2048 --threads 2 --against torch
  arena bench --scope step --task listops --variants blocked --threads 2 --against torch
  arena bench --benchmark_min_time=0.1 --benchmark_out=times.json --benchmark_out_format=json)";

/// What CLI11 did not know: Google Benchmark's flags; anything else is an Error naming the nearest.
std::vector<std::string> google_flags(const CLI::App& command) {
  std::vector<std::string> flags = command.remaining();
  for (const std::string& flag : flags) {
    if (flag.starts_with("--benchmark_")) continue;
    std::vector<std::string> known = {"--benchmark_..."};
    for (const CLI::Option* option : command.get_options(
             [](const CLI::Option* candidate) { return !candidate->get_group().empty(); })) {
      known.push_back(option->get_name());
    }
    throw Error(unknown_name("argument", flag, known));
  }
  return flags;
}

void print_machine() {
  Workers workers(1);
  const MachineInfo machine = machine_info();
  const ComputeLimits limits = measure_compute(workers.team());
  fmt::print(stderr,
             "{}, {} cores, {}: {:.0f} GFLOP/s from registers, {:.0f} fed from L1 (1 thread), "
             "noise {:.1f}%\n",
             machine.cpu, machine.cores, machine.isa, limits.peak_flops_per_s / 1e9,
             limits.l1_flops_per_s / 1e9, 100 * measure_noise().spread);
}

/// The group as a sweep plans it: the same cells have the same ids.
Unit unit_of(const BenchGroup& group) {
  Unit unit;
  unit.shape = group.shape;
  unit.repetitions = group.repetitions;
  for (const BenchVariant& variant : group.variants) {
    unit.cells.push_back({.variant = variant.name, .options = variant.options.values()});
  }
  return bench_unit(std::move(unit));
}

/// The peers of the group in the same way, of the same group; in no plan, since no sweep runs them.
Unit peer_unit(const BenchGroup& group, const Unit& ours) {
  Unit unit;
  unit.shape = group.shape;
  for (const PeerRow& peer : group.peers) {
    unit.cells.push_back({.variant = peer.variant(), .options = peer.options()});
  }
  unit = bench_unit(std::move(unit));
  unit.id = ours.id;
  return unit;
}

/// A line that the next one replaces on a terminal; elsewhere lines follow each other.
void show_progress(const std::string& text) {
  if (isatty(STDERR_FILENO) == 1) {
    fmt::print(stderr, "\r\033[K{}", text);
  } else if (!text.empty()) {
    fmt::print(stderr, "{}\n", text);
  }
}

/// Runs one group; its records are complete, and saved where a folder was named.
std::vector<Record> measure(const BenchGroup& group, GoogleBenchmark& google,
                            const std::string& out) {
  const Unit unit = unit_of(group);
  std::vector<Record> records = run_bench_group(group, google, show_progress);
  show_progress("");
  const Unit peers = peer_unit(group, unit);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::size_t variants = unit.cells.size();
    records[i] = i < variants
                     ? completed_record(unit, unit.cells[i], std::move(records[i]))
                     : completed_record(peers, peers.cells[i - variants], std::move(records[i]));
  }
  if (out.empty()) return records;
  const Store store(out);
  const std::vector<std::string> lines = {unit_line(unit)};
  store.add_to_plan(lines);
  for (const Record& record : records) store.save(record);
  return records;
}

int run_bench(const BenchArguments& arguments, const std::vector<std::string>& flags) {
  std::vector<BenchGroup> groups = groups_of(arguments);
  GoogleBenchmark google(flags);
  add_peers(arguments, groups);
  print_machine();
  std::vector<std::string> lines;
  bool failed = false;
  for (const BenchGroup& group : groups) {
    const std::vector<Record> records = measure(group, google, arguments.out);
    for (const Record& record : records) {
      failed = failed || is_failure(record.status);
      lines.push_back(to_json(record));
    }
    if (arguments.json) continue;
    fmt::print("{}\n", bench_table(group, records));
    std::fflush(stdout);
  }
  if (arguments.json) fmt::print("[{}]\n", fmt::join(lines, ",\n "));
  return failed ? kSomeFailed : 0;
}

int run_memory_probe(const BenchArguments& arguments) {
  const BenchGroup group = groups_of(arguments).front();
  fmt::print("{}\n", resident_peak_of_one_call(group.shape, group.variants.front()));
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  set_memory_program("/proc/self/exe");
  CLI::App* const command =
      app.add_subcommand("bench", "Time variants side by side, compared with an oracle first");
  const auto arguments = std::make_shared<BenchArguments>();
  BenchArguments& to = *arguments;
  command->option_defaults()->always_capture_default();
  command->add_option("--variants", to.variants, "NAME[key=value,...],... (all)");
  command->add_option("--lengths", to.lengths, "512,1024 or 256:16384:x2");
  command->add_option("--pass", to.pass, "forward | backward | train");
  command->add_option("--scope", to.scope,
                      "kernel: q, k, v to out | layer: x to y | step: a training step of a 2-layer "
                      "model");
  command->add_option("--task", to.task,
                      "scope step: sequences of this task at their true lengths (listops)");
  command->add_option("--heads", to.heads, "heads (scope step: 2)");
  command->add_option("--head-dim", to.head_dim, "width of a head (scope step: 32)");
  command->add_option("--batch", to.batch,
                      "sequences, one after another or in parallel (scope step: 32)");
  command->add_flag("--causal", to.causal, "no row sees a later one");
  command->add_option("--threads", to.threads, "1,2: one group for each");
  command->add_option("--repetitions", to.repetitions, "timed rounds over the variants");
  command->add_option("--against", to.against,
                      "torch,onnxruntime: time these as well, on the same inputs, in turns");
  command->add_option("--python", to.peers.python, "the Python that has them");
  command->add_option("--peer-timeout", to.peers.timeout_s,
                      "seconds that one of them may take to answer");
  command->add_flag("--json", to.json, "print an array of records instead of tables");
  command->add_option("--out", to.out, "folder to save the records in, as a sweep does");
  command->add_option("--memory-of", to.memory_of)->group("");
  command->footer(kExamples);
  command->allow_extras();
  command->callback([&action, command, arguments] {
    action = [command, arguments] {
      const std::vector<std::string> flags = google_flags(*command);
      set_step_defaults(*command, *arguments);
      if (arguments->memory_of.empty()) return run_bench(*arguments, flags);
      arguments->variants = arguments->memory_of;
      return run_memory_probe(*arguments);
    };
  });
}

}  // namespace arena
