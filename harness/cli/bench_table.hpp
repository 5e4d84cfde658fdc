#pragma once
// The table that `arena bench` prints for one group.

#include <string>
#include <vector>

#include "harness/bench/bench.hpp"

namespace arena {

/// A title line and one row per record: time, rate, shares of the machine's limits, speed relative
/// to `dense`, `blocked` and each
/// peer ("x torch sdpa": how many times faster than it) where they ran, error, memory. Rows that
/// were not timed say why.
std::string bench_table(const BenchGroup& group, const std::vector<Record>& records);

}  // namespace arena
