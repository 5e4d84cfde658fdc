#pragma once
// Records as sweeps make them, for the tests of tables.

#include <string>

#include "results/record.hpp"

namespace arena {

inline const MachineInfo kMachine{
    .cpu = "Test CPU",
    .cores = 2,
    .caches = {"L1d 48 KiB", "L1i 64 KiB", "L2 2048 KiB", "L3 32 MiB"},
    .isa = "x86-64-v3"};

inline Record timing(const std::string& variant, Index length, double median_ms,
                     const std::string& group = "g") {
  Record r;
  r.id = variant + std::to_string(length), r.kind = "bench", r.variant = variant;
  r.machine = kMachine, r.scope = "kernel", r.pass = "forward", r.length = length;
  r.heads = 8, r.head_dim = 64, r.batch = 1, r.group = group;
  r.time_ns_median = median_ms * 1e6, r.workspace_bytes = 1 << 20, r.analytic_bytes = 1 << 20;
  return r;
}

inline Record training(const std::string& variant, std::uint64_t seed, double accuracy) {
  Record r;
  r.id = variant + "-" + std::to_string(seed), r.kind = "train", r.variant = variant;
  r.machine = kMachine, r.task = "recall", r.seed = seed, r.test_accuracy_best = accuracy;
  r.chance_accuracy = 0.1, r.shortcut_accuracy = {{"majority", 0.125}};
  r.parameters = 1234, r.tokens_per_s = 5000, r.workspace_bytes = 1 << 20;
  return r;
}

}  // namespace arena
