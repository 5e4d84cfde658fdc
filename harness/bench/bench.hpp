#pragma once
// Times variants side by side with Google Benchmark; every number is preceded by a comparison with
// the double-precision oracle on the very buffers that are timed.

#include <functional>
#include <string>
#include <vector>

#include "harness/core/options.hpp"
#include "results/record.hpp"
#include "variants/attention.hpp"

namespace arena {

struct BenchShape {
  std::string scope = "kernel";  // "kernel", "layer" or "step"
  Pass pass = Pass::kForward;
  Index length = 1024;
  Index heads = 8;
  Index head_dim = 64;
  Index batch = 1;
  bool causal = false;
  Index threads = 1;
  /// Scope step: the task whose samples at their true lengths make the batch, `length` being the
  /// longest it may have ("listops[max_len=512]"); "": random sequences of that length.
  std::string task{};
};

struct BenchVariant {
  std::string name;
  Options options;
};

/// How peers are run.
struct PeerSettings {
  std::string python = "python3";
  double timeout_s = 600;  // for one answer
};

/// Something that another library offers for a shape.
struct PeerRow {
  std::string library, version;  // "torch", "2.13.0"
  std::string row;               // "sdpa"
  BenchVariant like;             // whose outputs it must give, and whose flops count for it

  /// "torch 2.13.0 sdpa".
  std::string label() const { return library + ' ' + version + ' ' + row; }
  /// Name in records: "peer/torch-sdpa".
  std::string variant() const;
  /// In records: the version, and the options that it shares with `like`.
  OptionValues options() const;
};

/// All variants of one shape: one process, round-robin repetitions. Peers come after the variants.
struct BenchGroup {
  BenchShape shape;
  std::vector<BenchVariant> variants;
  Index repetitions = 9;
  std::vector<std::string> benchmark_flags{};  // passed through to Google Benchmark
  std::vector<PeerRow> peers{};
  PeerSettings peer_settings{};
};

class GoogleBenchmark;

/// One record per variant, in order, then one per peer, with the measured fields filled in. Status
/// UNSUPPORTED, OOM (refused by its formula before anything is allocated, or killed in its own
/// process), INCORRECT, CRASHED or ERROR where that is the result; then, and where
/// --benchmark_filter leaves a variant out, nothing is timed. `progress` gets one line of text per
/// thing done.
std::vector<Record> run_bench_group(const BenchGroup& group,
                                    const std::function<void(const std::string&)>& progress);
/// The same with a Google Benchmark that outlives the group (benchmark_flags are not read): one
/// report file for many groups.
std::vector<Record> run_bench_group(const BenchGroup& group, GoogleBenchmark& google,
                                    const std::function<void(const std::string&)>& progress);

/// Builds one variant, runs the pass once and returns the peak of resident memory in bytes: for a
/// process of its own.
Index resident_peak_of_one_call(const BenchShape& shape, const BenchVariant& variant);

const char* pass_name(Pass pass);
/// Throws Error naming the nearest.
Pass parse_pass(const std::string& text);

}  // namespace arena
