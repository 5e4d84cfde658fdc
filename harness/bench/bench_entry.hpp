#pragma once
// One variant of a group up to the moment it may be timed: refused, measured, compared.

#include <memory>
#include <string>

#include "harness/bench/contender.hpp"
#include "harness/bench/step.hpp"

namespace arena {

struct BenchEntry {
  Record record;
  std::unique_ptr<Timed> contender;  // null where nothing may be timed; the record says why
  double flops = 0;                  // of one call
  double tokens = 0;                 // of one call
};

/// Name of the variant with the options that differ from their defaults.
std::string label_of(const BenchVariant& chosen);

/// Identity and machine, no result yet.
Record blank_record(const BenchShape& shape, const BenchVariant& chosen);
void set_status(Record& record, const std::string& status, const std::string& error);
/// OOM where that many bytes are not free, beside those of inputs and outputs.
void refuse_too_large(Record& record, double bytes, double tensor_bytes, double oracle_bytes = 0);
/// Runs the pass once in a process of its own; fills rss_peak_bytes, or the status when that
/// process fails.
void measure_resident_memory(const BenchShape& shape, const std::string& label, Record& record);
/// Compares the cold call's output (and its gradients) with the oracle; the status says INCORRECT.
void judge_outputs(const BenchShape& shape, Contender& contender, const Team& team,
                   const Arithmetic& arithmetic, Record& record);
/// Writes the precision that the variant computes in, and UNSUPPORTED where this machine lacks it.
Arithmetic note_arithmetic(const BenchVariant& chosen, Record& record);

/// Scope kernel or layer. Refuses what is unsupported or too large for the memory that is free,
/// measures resident memory in a process of its own, makes the cold first call and holds its output
/// (and its gradients) against the oracle.
BenchEntry make_entry(const BenchShape& shape, const BenchVariant& chosen,
                      const BenchInputs& inputs);

/// Scope step. The heads alone are held against the oracle at this length, the step's loss and the
/// gradient of all its weights against the model's own forward pass, by a central difference. The
/// training goes on with `workers`, which like `batch` must outlive the result.
BenchEntry make_step_entry(const BenchShape& shape, const BenchVariant& chosen,
                           const StepBatch& batch, Workers& workers);

}  // namespace arena
