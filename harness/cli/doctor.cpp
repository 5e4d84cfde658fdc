#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "harness/cli/command.hpp"
#include "harness/machine/machine.hpp"
#include "harness/machine/peak.hpp"

namespace arena {
namespace {

constexpr double kNoisySpread = 0.1;
constexpr double kLostScaling = 0.8;  // below it, at least a fifth of the threads' rate is missing
constexpr double kGiga = 1e9;

struct ThreadLimits {
  Index threads = 1;
  ComputeLimits compute;
  double bytes_per_s = 0;
};

struct Diagnosis {
  MachineInfo machine;
  Index free_bytes = 0;
  std::vector<ThreadLimits> limits;  // of one thread, and of all
  Noise noise;
  double scaling = 1;
  std::vector<std::string> spoilers;
};

ThreadLimits limits_of(Index threads) {
  Workers workers(threads);
  return {threads, measure_compute(workers.team()), measure_bandwidth(workers.team())};
}

Diagnosis diagnose() {
  Diagnosis found;
  found.machine = machine_info();
  found.free_bytes = available_memory_bytes();
  found.spoilers = timing_spoilers();  // before the probes, which are a load themselves
  found.limits.push_back(limits_of(1));
  if (found.machine.cores > 1) found.limits.push_back(limits_of(found.machine.cores));
  found.noise = measure_noise();
  if (found.noise.spread > kNoisySpread) {
    found.spoilers.push_back(fmt::format(
        "equal probes differ by {:.0f}%: something else runs on this core, or its clock "
        "changes",
        100 * found.noise.spread));
  }
  if (found.noise.interruptions > 0) {
    found.spoilers.push_back(fmt::format("time-slicing: {} times another process took the core",
                                         found.noise.interruptions));
  }
  if (found.machine.cores > 1) found.scaling = measure_scaling(found.machine.cores);
  if (found.scaling < kLostScaling) {
    found.spoilers.push_back(
        fmt::format("a lost core: {} threads reach {:.0f}% of {} times one thread",
                    found.machine.cores, 100 * found.scaling, found.machine.cores));
  }
  return found;
}

double gibibytes(Index bytes) {
  return static_cast<double>(bytes) / (1 << 30);
}

int print_text(const Diagnosis& found) {
  const MachineInfo& machine = found.machine;
  fmt::print("processor        {}, {} threads may run\n", machine.cpu, machine.cores);
  fmt::print("caches           {}\n", fmt::join(machine.caches, ", "));
  fmt::print("memory           {:.1f} GiB, {:.1f} free\n", gibibytes(machine.memory_bytes),
             gibibytes(found.free_bytes));
  fmt::print("instruction set  {} (what this binary was built for)\n", machine.isa);
  for (const ThreadLimits& limits : found.limits) {
    fmt::print(
        "{:<2} thread{}       {:.1f} GFLOP/s from registers, {:.1f} fed from L1, {:.1f} GB/s "
        "triad\n",
        limits.threads, limits.threads == 1 ? " " : "s", limits.compute.peak_flops_per_s / kGiga,
        limits.compute.l1_flops_per_s / kGiga, limits.bytes_per_s / kGiga);
  }
  fmt::print("noise            {:.1f}% between equal probes, {} interruptions\n",
             100 * found.noise.spread, found.noise.interruptions);
  if (machine.cores > 1) fmt::print("scaling          {:.2f} of perfect\n", found.scaling);
  if (found.spoilers.empty()) fmt::print("nothing found that would spoil timings\n");
  for (const std::string& text : found.spoilers) fmt::print("! {}\n", text);
  return 0;
}

int print_json(const Diagnosis& found) {
  const MachineInfo& machine = found.machine;
  nlohmann::ordered_json json = {{"machine",
                                  {{"cpu", machine.cpu},
                                   {"cores", machine.cores},
                                   {"caches", machine.caches},
                                   {"isa", machine.isa},
                                   {"memory_bytes", machine.memory_bytes}}},
                                 {"free_bytes", found.free_bytes}};
  for (const ThreadLimits& limits : found.limits) {
    json["limits"].push_back({{"threads", limits.threads},
                              {"peak_flops_per_s", limits.compute.peak_flops_per_s},
                              {"l1_flops_per_s", limits.compute.l1_flops_per_s},
                              {"triad_bytes_per_s", limits.bytes_per_s}});
  }
  json["noise"] = found.noise.spread;
  json["interruptions"] = found.noise.interruptions;
  json["scaling"] = found.scaling;
  json["spoilers"] = found.spoilers;
  fmt::print("{}\n", json.dump(1));
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("doctor", "What this machine is and can do, and what would spoil timings");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print one object instead of text");
  command->footer("Examples:\n  arena doctor\n  arena doctor --json");
  command->callback([&action, json] {
    action = [json] { return *json ? print_json(diagnose()) : print_text(diagnose()); };
  });
}

}  // namespace arena
