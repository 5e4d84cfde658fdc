#include "harness/bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "harness/contender.hpp"
#include "harness/google.hpp"
#include "harness/machine.hpp"
#include "harness/meter.hpp"
#include "harness/model/make.hpp"
#include "harness/peak.hpp"

namespace arena {
namespace {

/// Float sums over thousands of keys err by some 1e-6 of the largest output; a wrong mask, scale or
/// block errs by 1e-2 and more.
constexpr double kOutputTolerance = 1e-4;
/// A gradient in float errs by 1e-5, the difference it is compared with by 1e-4.
constexpr double kGradientTolerance = 3e-3;
constexpr int kKilled = -9;  // by the kernel, for memory

using Progress = std::function<void(const std::string&)>;

struct Entry {
  Record record;
  std::unique_ptr<Contender> contender;  // null where it does not run
  double flops = 0;
};

std::string benchmark_name(const BenchShape& shape, const std::string& label) {
  std::string name = fmt::format("{}/{}/{}", pass_name(shape.pass), shape.length, label);
  if (shape.scope != "kernel") name += "/" + shape.scope;
  if (shape.causal) name += "/causal";
  if (shape.batch > 1) name += fmt::format("/batch_{}", shape.batch);
  if (shape.threads > 1) name += fmt::format("/threads_{}", shape.threads);
  return name;
}

std::string label_of(const BenchVariant& chosen) {
  const Variant& variant = Registry<Variant>::find(chosen.name);
  return variant.name + chosen.options.difference(variant.options);
}

Record blank_record(const BenchShape& shape, const BenchVariant& chosen) {
  Record record;
  record.kind = "bench";
  record.variant = chosen.name;
  record.options = chosen.options.values();
  record.scope = shape.scope;
  record.pass = pass_name(shape.pass);
  record.length = shape.length;
  record.heads = shape.heads;
  record.head_dim = shape.head_dim;
  record.batch = shape.batch;
  record.causal = shape.causal;
  record.threads = shape.threads;
  record.precision = "fp32";
  record.machine = machine_info();
  return record;
}

void set_status(Record& record, const std::string& status, const std::string& error) {
  record.status = status;
  record.error = error;
}

/// Bytes of frames and scratch by the variant's formula, all sequences that run at once.
double analytic_bytes(const BenchShape& shape, const BenchVariant& chosen) {
  const Variant& variant = Registry<Variant>::find(chosen.name);
  if (!variant.analytic_bytes) return 0;
  const double one = variant.analytic_bytes(bench_problem(shape, chosen.options));
  const bool all_frames = shape.pass == Pass::kBackward;
  const bool parallel = shape.batch >= shape.threads;
  return one * static_cast<double>(all_frames ? shape.batch : parallel ? shape.threads : 1);
}

double pass_flops(const BenchShape& shape, const BenchVariant& chosen) {
  const Variant& variant = Registry<Variant>::find(chosen.name);
  double flops = variant.flops ? variant.flops(bench_problem(shape, chosen.options)) : 0;
  if (shape.scope == "layer" && variant.make_head) {
    const auto width = static_cast<double>(shape.heads * shape.head_dim);
    const double passes = shape.pass == Pass::kForward ? 1 : shape.pass == Pass::kBackward ? 2 : 3;
    flops += passes * 8 * static_cast<double>(shape.length) * width * width;
  }
  return flops * static_cast<double>(shape.batch);
}

/// Inputs, outputs and gradients of the whole batch.
double tensor_bytes(const BenchShape& shape) {
  const double matrices = shape.pass == Pass::kForward ? 4 : 8;
  return matrices * 4 * static_cast<double>(shape.batch * shape.length) *
         static_cast<double>(shape.heads * shape.head_dim);
}

/// Runs the pass once in a process of its own; fills rss_peak_bytes, or the status when that
/// process fails.
void measure_resident_memory(const BenchShape& shape, const std::string& label, Record& record) {
  if (memory_program().empty()) return;
  std::vector<std::string> arguments = {"bench",
                                        "--memory-of",
                                        label,
                                        "--scope",
                                        shape.scope,
                                        "--pass",
                                        pass_name(shape.pass),
                                        "--lengths",
                                        fmt::format("{}", shape.length),
                                        "--heads",
                                        fmt::format("{}", shape.heads),
                                        "--head-dim",
                                        fmt::format("{}", shape.head_dim),
                                        "--batch",
                                        fmt::format("{}", shape.batch),
                                        "--threads",
                                        fmt::format("{}", shape.threads)};
  if (shape.causal) arguments.emplace_back("--causal");
  const ProgramResult result = run_program(memory_program(), arguments);
  const std::string text = result.output.substr(0, result.output.find('\n'));
  if (result.exit_code == 0) {
    record.rss_peak_bytes = static_cast<double>(std::stoll(text));
  } else if (result.exit_code == kKilled) {
    set_status(record, "OOM", "killed while its memory was measured");
  } else if (result.exit_code < 0) {
    set_status(record, "CRASHED", fmt::format("ended by signal {}", -result.exit_code));
  } else {
    set_status(record, "ERROR", text);
  }
}

std::unique_ptr<Contender> make_contender(const BenchShape& shape, const BenchVariant& chosen,
                                          const BenchInputs& inputs) {
  return shape.scope == "kernel" ? make_kernel_contender(shape, chosen, inputs) : nullptr;
}

/// Cold first call on fresh memory, exact workspace, comparison with the oracle. Without a good
/// comparison the contender is dropped: nothing of it is timed.
void first_call(const BenchShape& shape, Entry& entry) {
  Workers workers(shape.threads);
  const Team team = workers.team();
  Contender& contender = *entry.contender;
  {
    const WorkspaceScope scope(team.workspace());
    contender.prepare(team);
    const auto start = std::chrono::steady_clock::now();
    contender.run(team);
    entry.record.time_ns_cold =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
  }
  Record& record = entry.record;
  record.workspace_bytes = static_cast<double>(workers.high_water());
  const double error = contender.output_error(team);
  if (std::isfinite(error)) record.max_error = error;
  if (!(error <= kOutputTolerance)) {
    set_status(
        record, "INCORRECT",
        fmt::format("output differs from the oracle by {:.3g} of its largest value, more than "
                    "{:g}",
                    error, kOutputTolerance));
  } else if (shape.pass != Pass::kForward) {
    const double gradient_error = contender.gradient_error(team);
    if (!(gradient_error <= kGradientTolerance)) {
      set_status(record, "INCORRECT",
                 fmt::format("gradient differs from the oracle's by {:.3g}, more than {:g}",
                             gradient_error, kGradientTolerance));
    }
  }
  if (record.status != "OK") {
    record.time_ns_cold.reset();
    entry.contender.reset();
  }
}

Entry make_entry(const BenchShape& shape, const BenchVariant& chosen, const BenchInputs& inputs,
                 const Progress& progress) {
  const Variant& variant = Registry<Variant>::find(chosen.name);
  const std::string label = label_of(chosen);
  Entry entry{blank_record(shape, chosen), nullptr, pass_flops(shape, chosen)};
  Record& record = entry.record;
  if (const std::string reason = unsupported_reason(shape, variant); !reason.empty()) {
    set_status(record, "UNSUPPORTED", reason);
    return entry;
  }
  record.flops = entry.flops;
  const double bytes = analytic_bytes(shape, chosen);
  if (shape.scope == "kernel" && variant.analytic_bytes) record.analytic_bytes = bytes;
  const auto available = static_cast<double>(available_memory_bytes());
  if (available > 0 && bytes + tensor_bytes(shape) > available) {
    set_status(
        record, "OOM",
        fmt::format("needs {:.0f} MiB beside {:.0f} MiB of inputs and outputs, {:.0f} MiB are "
                    "free",
                    bytes / 1048576, tensor_bytes(shape) / 1048576, available / 1048576));
    return entry;
  }
  progress(fmt::format("checking {}", benchmark_name(shape, label)));
  measure_resident_memory(shape, label, record);
  if (record.status != "OK") return entry;
  entry.contender = make_contender(shape, chosen, inputs);
  record.parameters = static_cast<double>(entry.contender->parameter_count());
  first_call(shape, entry);
  return entry;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void fill_times(Record& record, const std::vector<double>& times, const ComputeLimits& limits) {
  record.time_ns = times;
  const double middle = median(times);
  std::vector<double> deviations;
  for (const double time : times) deviations.push_back(std::abs(time - middle));
  record.time_ns_median = middle;
  record.time_ns_mad = median(deviations);
  record.tokens_per_s = static_cast<double>(record.length * record.batch) * 1e9 / middle;
  if (!record.flops || *record.flops <= 0) return;
  record.flops_per_s = *record.flops * 1e9 / middle;
  record.share_of_peak = *record.flops_per_s / limits.peak_flops_per_s;
  record.share_of_l1 = *record.flops_per_s / limits.l1_flops_per_s;
}

/// The better of two probes of the same limit, one before and one after the timings.
ComputeLimits better(const ComputeLimits& a, const ComputeLimits& b) {
  return {std::max(a.peak_flops_per_s, b.peak_flops_per_s),
          std::max(a.l1_flops_per_s, b.l1_flops_per_s)};
}

TimedCall timed_call(const BenchGroup& group, const BenchVariant& chosen, Entry& entry,
                     const Team& team, const ComputeLimits& limits) {
  Contender* const contender = entry.contender.get();
  auto mark = std::make_shared<Workspace::Mark>();
  TimedCall call{.name = benchmark_name(group.shape, label_of(chosen)),
                 .prepare =
                     [=] {
                       *mark = team.workspace().mark();
                       contender->prepare(team);
                     },
                 .call = [=] { contender->run(team); },
                 .finish = [=] { team.workspace().release(*mark); },
                 .flops = entry.flops,
                 .peak_flops_per_s = limits.peak_flops_per_s};
  const Record& record = entry.record;
  call.counters["workspace_bytes"] = record.workspace_bytes.value_or(0);
  call.counters["max_error"] = record.max_error.value_or(0);
  if (record.rss_peak_bytes) call.counters["rss_peak_bytes"] = *record.rss_peak_bytes;
  if (record.analytic_bytes) call.counters["analytic_bytes"] = *record.analytic_bytes;
  return call;
}

/// Times all entries that still have a contender, round-robin, between two probes of the machine.
void time_entries(const BenchGroup& group, std::vector<Entry>& entries, GoogleBenchmark& google) {
  Workers workers(group.shape.threads);
  const Team team = workers.team();
  const ComputeLimits before = measure_compute(team);
  std::vector<TimedCall> calls;
  std::vector<Entry*> timed;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].contender) continue;
    timed.push_back(&entries[i]);
    calls.push_back(timed_call(group, group.variants[i], entries[i], team, before));
  }
  if (calls.empty()) return;
  const auto times = google.time(calls, google.repetitions(group.repetitions));
  const ComputeLimits limits = better(before, measure_compute(team));
  for (std::size_t i = 0; i < timed.size(); ++i) {
    if (!times[i].empty()) fill_times(timed[i]->record, times[i], limits);
  }
}

}  // namespace

const char* pass_name(Pass pass) {
  return pass == Pass::kForward ? "forward" : pass == Pass::kBackward ? "backward" : "train";
}

Pass parse_pass(const std::string& text) {
  for (const Pass pass : {Pass::kForward, Pass::kBackward, Pass::kTrain}) {
    if (text == pass_name(pass)) return pass;
  }
  const std::vector<std::string> names = {"forward", "backward", "train"};
  throw Error(unknown_name("pass", text, names));
}

std::vector<Record> run_bench_group(const BenchGroup& group, GoogleBenchmark& google,
                                    const Progress& progress) {
  const BenchInputs inputs(group.shape);
  std::vector<Entry> entries;
  for (const BenchVariant& chosen : group.variants) {
    entries.push_back(make_entry(group.shape, chosen, inputs, progress));
  }
  progress(fmt::format("timing {}", benchmark_name(group.shape, "*")));
  time_entries(group, entries, google);
  std::vector<Record> records;
  for (Entry& entry : entries) records.push_back(std::move(entry.record));
  return records;
}

std::vector<Record> run_bench_group(const BenchGroup& group, const Progress& progress) {
  GoogleBenchmark google(group.benchmark_flags);
  return run_bench_group(group, google, progress);
}

Index resident_peak_of_one_call(const BenchShape& shape, const BenchVariant& chosen) {
  const BenchInputs inputs(shape);
  const std::unique_ptr<Contender> contender = make_contender(shape, chosen, inputs);
  Workers workers(shape.threads);
  const Team team = workers.team();
  reset_resident_peak();
  const WorkspaceScope scope(team.workspace());
  contender->prepare(team);
  contender->run(team);
  return resident_peak_bytes();
}

}  // namespace arena
