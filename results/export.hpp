#pragma once
// Timings in the formats of other tools.

#include <span>
#include <string>
#include <vector>

#include "results/record.hpp"

namespace arena {

/// gbench: Google Benchmark's JSON, every repetition, as its compare.py reads it.
/// github-action-benchmark: its customSmallerIsBetter, the median. bencher: Bencher's metric
/// format.
std::vector<std::string> export_names();

/// All timings among the records, one entry per cell, times in ns. Names hold every option, so that
/// they stay the same from run to run. Throws Error when there is no timing.
std::string export_timings(std::span<const Record> records, const std::string& format);

}  // namespace arena
