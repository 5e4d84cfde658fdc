#pragma once
// Where results to compare come from: folders, saved baselines, files.

#include <string>
#include <vector>

#include "results/record.hpp"

namespace arena {

/// Where the commands keep baselines.
inline constexpr const char* kBaselines = "runs/baselines";

/// Records of the first of these that there is: a folder with cells/, a file (one record, or what
/// Google Benchmark writes with --benchmark_out_format=json), a baseline saved in `baselines`.
/// Throws Error naming the nearest baseline.
std::vector<Record> load_results(const std::string& source, const std::string& baselines);

/// Timings from Google Benchmark's JSON: one record per benchmark, named as there, its repetitions
/// by real time. The machine is its host. Throws Error naming `source` and the place.
std::vector<Record> google_benchmark_records(const std::string& text, const std::string& source);

/// Copies the records of the result folder `dir` to BASELINES/NAME, whole or not at all. Throws
/// Error on a name that is no plain word, or is taken (unless `replace`).
void save_baseline(const std::string& baselines, const std::string& name, const std::string& dir,
                   bool replace);
/// Sorted; empty where none was saved.
std::vector<std::string> baseline_names(const std::string& baselines);

}  // namespace arena
