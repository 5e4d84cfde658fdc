#pragma once
// Google Benchmark, driven round by round: its own random interleaving shuffles repetitions, which
// is no round-robin, and each of its runs overwrites the file of the one before.

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

struct TimedCall {
  std::string name;               // "forward/4096/blocked", unique among the calls of a time()
  std::function<void()> prepare;  // before each repetition, not timed
  std::function<void()> call;     // one call, timed
  std::function<void()> finish;   // after each repetition, not timed
  /// In place of `call`: makes that many calls and returns the nanoseconds of all together,
  /// measured where they were made.
  std::function<double(Index calls)> measure{};
  double flops = 0;                          // of one call
  double peak_flops_per_s = 0;               // 0: not known
  std::map<std::string, double> counters{};  // further numbers for Google Benchmark's report
};

/// One per process: Google Benchmark's flags and registry are global.
class GoogleBenchmark {
 public:
  /// `flags` as on the command line: --benchmark_out=FILE with --benchmark_out_format=json|
  /// console collects all that time() measures in the lifetime of this object, the others are
  /// Google Benchmark's own. Throws Error on a flag that it does not know.
  explicit GoogleBenchmark(std::span<const std::string> flags);
  ~GoogleBenchmark();
  GoogleBenchmark(const GoogleBenchmark&) = delete;
  GoogleBenchmark& operator=(const GoogleBenchmark&) = delete;

  /// Warms each call up until it has run for --benchmark_min_time seconds (0.02 unless given),
  /// which also fixes how many calls one repetition makes; then `repetitions` rounds, each of
  /// between() and one repetition of each call in order. Returns real nanoseconds per call, one
  /// entry per repetition, for each call; none for a call that --benchmark_filter leaves out.
  /// Throws Error when the file of --benchmark_out cannot be written.
  std::vector<std::vector<double>> time(
      std::span<const TimedCall> calls, Index repetitions,
      const std::function<void()>& between = [] {});

  /// --benchmark_repetitions, or `fallback`.
  Index repetitions(Index fallback) const;

 private:
  class Report;

  std::unique_ptr<Report> report_;  // null without --benchmark_out
  Index repetitions_ = 0;
};

}  // namespace arena
