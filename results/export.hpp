#pragma once
// Timings in the formats of other tools.

#include <span>
#include <string>
#include <vector>

#include "results/record.hpp"

namespace arena {

/// What a timing is called outside, in every format: "kernel/forward/1024/linformer[rank=64]/8x64",
/// and what is not 1 or "no" behind. All options are in it, so that it stays the same from run to
/// run.
std::string timing_name(const Record& record);

/// gbench: Google Benchmark's JSON, every repetition, as its compare.py reads it.
/// github-action-benchmark: its customSmallerIsBetter, the median. bencher: Bencher's metric
/// format.
std::vector<std::string> export_names();

/// All timings among the records, one entry per cell, by timing_name(), times in ns. Throws Error
/// when there is no timing.
std::string export_timings(std::span<const Record> records, const std::string& format);

}  // namespace arena
