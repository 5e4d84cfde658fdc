#include "harness/bench/bench_entry.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "harness/machine/machine.hpp"
#include "harness/machine/meter.hpp"

namespace arena {
namespace {

/// Float sums over thousands of keys err by some 1e-6 of the largest output; a wrong mask, scale or
/// block errs by 1e-2 and more.
constexpr double kOutputTolerance = 1e-4;
/// Where operands are rounded to fewer bits (Arithmetic): as in the conformance suite.
constexpr double kRoundings = 4;
/// A gradient in float errs by 1e-5, the difference it is compared with by 1e-4.
constexpr double kGradientTolerance = 3e-3;
/// More of it where the step of the difference may meet kinks.
constexpr double kKinks = 2e-2;
constexpr int kKilled = -9;  // by the kernel, for memory

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

/// Cold first call on fresh memory, exact workspace, comparison with the oracle. Without a good
/// comparison the contender is dropped: nothing of it is timed.
void first_call(const BenchShape& shape, const Arithmetic& arithmetic, Contender& contender,
                BenchEntry& entry) {
  Workers workers(shape.threads);
  const Team team = workers.team();
  {
    const WorkspaceScope scope(team.workspace());
    contender.prepare(team);
    const auto start = std::chrono::steady_clock::now();
    contender.run(team);
    entry.record.time_ns_cold =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
  }
  entry.record.workspace_bytes = static_cast<double>(workers.high_water());
  judge_outputs(shape, contender, team, arithmetic, entry.record);
  if (entry.record.status != "OK") {
    entry.record.time_ns_cold.reset();
    entry.contender.reset();
  }
}

}  // namespace

Record blank_record(const BenchShape& shape, const BenchVariant& chosen) {
  Record record;
  record.kind = "bench";
  record.variant = chosen.name;
  record.options = chosen.options.values();
  record.scope = shape.scope;
  record.pass = pass_name(shape.pass);
  record.task = shape.task;
  record.length = shape.length;
  record.heads = shape.heads;
  record.head_dim = shape.head_dim;
  record.batch = shape.batch;
  record.causal = shape.causal;
  record.threads = shape.threads;
  record.precision = "float32";
  record.machine = machine_info();
  return record;
}

void set_status(Record& record, const std::string& status, const std::string& error) {
  record.status = status;
  record.error = error;
}

void refuse_too_large(Record& record, double bytes, double tensor_bytes, double oracle_bytes) {
  const auto available = static_cast<double>(available_memory_bytes());
  if (available <= 0 || bytes + tensor_bytes + oracle_bytes <= available) return;
  constexpr double kMebibyte = 1 << 20;
  std::string beside = fmt::format("{:.0f} MiB of inputs and outputs", tensor_bytes / kMebibyte);
  if (oracle_bytes > 0) {
    beside += fmt::format(" and {:.0f} MiB of the oracle", oracle_bytes / kMebibyte);
  }
  set_status(record, "OOM",
             fmt::format("needs {:.0f} MiB beside {}, {:.0f} MiB are free", bytes / kMebibyte,
                         beside, available / kMebibyte));
}

void measure_resident_memory(const BenchShape& shape, const std::string& label, Record& record) {
  if (memory_program().empty()) return;
  std::vector<std::string> arguments = {"bench",
                                        "--memory-of",
                                        label,
                                        "--scope",
                                        shape.scope,
                                        "--pass",
                                        pass_name(shape.pass),
                                        "--heads",
                                        fmt::format("{}", shape.heads),
                                        "--head-dim",
                                        fmt::format("{}", shape.head_dim),
                                        "--batch",
                                        fmt::format("{}", shape.batch),
                                        "--threads",
                                        fmt::format("{}", shape.threads)};
  if (shape.task.empty()) {
    arguments.insert(arguments.end(), {"--lengths", fmt::format("{}", shape.length)});
  } else {
    arguments.insert(arguments.end(), {"--task", shape.task});
  }
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

Arithmetic note_arithmetic(const BenchVariant& chosen, Record& record) {
  Arithmetic arithmetic = Registry<Variant>::find(chosen.name).arithmetic_of(chosen.options);
  record.precision = arithmetic.precision;
  if (!arithmetic.missing.empty()) {
    set_status(record, "UNSUPPORTED",
               fmt::format("{} needs {}", arithmetic.precision, arithmetic.missing));
  }
  return arithmetic;
}

void judge_outputs(const BenchShape& shape, Contender& contender, const Team& team,
                   const Arithmetic& arithmetic, Record& record) {
  const double error = contender.output_error(team);
  const double tolerance = kOutputTolerance + kRoundings * arithmetic.rounding;
  const double gradient_tolerance =
      kGradientTolerance + kRoundings * arithmetic.rounding + (arithmetic.kinks ? kKinks : 0);
  if (std::isfinite(error)) record.max_error = error;
  if (!(error <= tolerance)) {
    set_status(
        record, "INCORRECT",
        fmt::format("output differs from the oracle by {:.3g} of its largest value, more than "
                    "{:g}",
                    error, tolerance));
  } else if (shape.pass != Pass::kForward) {
    const double gradient_error = contender.gradient_error(team);
    if (!(gradient_error <= gradient_tolerance)) {
      set_status(record, "INCORRECT",
                 fmt::format("gradient differs from the oracle's by {:.3g}, more than {:g}",
                             gradient_error, gradient_tolerance));
    }
  }
}

std::string label_of(const BenchVariant& chosen) {
  const Variant& variant = Registry<Variant>::find(chosen.name);
  return variant.name + chosen.options.difference(variant.options);
}

BenchEntry make_entry(const BenchShape& shape, const BenchVariant& chosen,
                      const BenchInputs& inputs) {
  const Variant& variant = Registry<Variant>::find(chosen.name);
  const std::string label = label_of(chosen);
  BenchEntry entry{blank_record(shape, chosen), nullptr, pass_flops(shape, chosen),
                   static_cast<double>(shape.length * shape.batch)};
  Record& record = entry.record;
  if (const std::string reason = unsupported_reason(shape, variant); !reason.empty()) {
    set_status(record, "UNSUPPORTED", reason);
    return entry;
  }
  const Arithmetic arithmetic = note_arithmetic(chosen, record);
  if (record.status != "OK") return entry;
  record.flops = entry.flops;
  const double bytes = analytic_bytes(shape, chosen);
  if (shape.scope == "kernel" && variant.analytic_bytes) record.analytic_bytes = bytes;
  refuse_too_large(record, bytes, tensor_bytes(shape), oracle_bytes(shape, variant));
  if (record.status != "OK") return entry;
  measure_resident_memory(shape, label, record);
  if (record.status != "OK") return entry;
  auto contender = make_contender(shape, chosen, inputs);
  record.parameters = static_cast<double>(contender->parameter_count());
  Contender& same = *contender;
  entry.contender = std::move(contender);
  first_call(shape, arithmetic, same, entry);
  return entry;
}

}  // namespace arena
