#pragma once
// One variant of a group up to the moment it may be timed: refused, measured, compared.

#include <memory>
#include <string>

#include "harness/bench/contender.hpp"

namespace arena {

struct BenchEntry {
  Record record;
  std::unique_ptr<Contender> contender;  // null where nothing may be timed; the record says why
  double flops = 0;                      // of one call
};

/// "forward/4096/linformer[rank=64]", with the parts of the shape that are not the default behind.
std::string benchmark_name(const BenchShape& shape, const std::string& label);
/// Name of the variant with the options that differ from their defaults.
std::string label_of(const BenchVariant& chosen);

/// Refuses what is unsupported or too large for the memory that is free, measures resident memory
/// in a process of its own, makes the cold first call and holds its output (and its gradients)
/// against the oracle.
BenchEntry make_entry(const BenchShape& shape, const BenchVariant& chosen,
                      const BenchInputs& inputs);

}  // namespace arena
