#include "harness/bench/google.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <fstream>

#include "harness/core/check.hpp"
#include "harness/core/options.hpp"

namespace arena {
namespace {

constexpr Index kMostRepetitions = 100000;

using Run = benchmark::BenchmarkReporter::Run;

/// Keeps what was measured; prints nothing.
class Collector final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    runs_.insert(runs_.end(), runs.begin(), runs.end());
  }
  std::vector<Run> take() { return std::exchange(runs_, {}); }

 private:
  std::vector<Run> runs_;
};

double nanoseconds_per_call(const Run& run) {
  return run.real_accumulated_time * 1e9 / static_cast<double>(run.iterations);
}

void run_timed(const TimedCall& call, benchmark::State& state) {
  call.prepare();
  if (call.measure) {
    const auto calls = static_cast<Index>(state.max_iterations);
    const double seconds = call.measure(calls) * 1e-9 / static_cast<double>(calls);
    for ([[maybe_unused]] auto iteration : state) state.SetIterationTime(seconds);
  } else {
    for ([[maybe_unused]] auto iteration : state) call.call();
  }
  call.finish();
  using benchmark::Counter;
  state.counters["flops_per_s"] = Counter(call.flops, Counter::kIsIterationInvariantRate);
  if (call.peak_flops_per_s > 0) {
    state.counters["share_of_peak"] =
        Counter(call.flops / call.peak_flops_per_s, Counter::kIsIterationInvariantRate);
  }
  for (const auto& [name, value] : call.counters) state.counters[name] = value;
}

benchmark::internal::Benchmark* add_benchmark(const TimedCall& call) {
  auto* const added = benchmark::RegisterBenchmark(
      call.name.c_str(), [&call](benchmark::State& state) { run_timed(call, state); });
  added->Repetitions(1);
  return call.measure ? added->UseManualTime() : added->UseRealTime();
}

/// Which of the calls, whose names differ, was run.
std::size_t index_of(const Run& run, std::span<const TimedCall> calls) {
  const auto found = std::ranges::find(calls, run.run_name.function_name, &TimedCall::name);
  check(found != calls.end(), "'{}' ran but was not asked for", run.run_name.function_name);
  return static_cast<std::size_t>(found - calls.begin());
}

/// Runs all that is registered, once each, in order; those that match --benchmark_filter, or all.
std::vector<Run> run_round(bool filtered) {
  Collector collector;
  if (filtered) {
    benchmark::RunSpecifiedBenchmarks(&collector);
  } else {
    benchmark::RunSpecifiedBenchmarks(&collector, std::string("."));
  }
  return collector.take();
}

/// Takes --NAME=VALUE out of `flags`; "" when absent, the last one counts.
std::string take_flag(std::vector<std::string>& flags, const std::string& name) {
  const std::string start = "--" + name + "=";
  std::string value;
  std::erase_if(flags, [&](const std::string& flag) {
    if (!flag.starts_with(start)) return false;
    value = flag.substr(start.size());
    return true;
  });
  return value;
}

void initialise(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "--benchmark_min_time=0.02");
  static std::string program = "arena";  // Google Benchmark keeps the pointer for its reports
  std::vector<char*> argv = {program.data()};
  for (std::string& flag : flags) argv.push_back(flag.data());
  int argc = static_cast<int>(argv.size());
  benchmark::Initialize(&argc, argv.data());
  // What is understood is taken out.
  check(argc == 1, "'{}' is not a flag, or not a value, that Google Benchmark takes",
        argc > 1 ? argv[1] : "");
}

}  // namespace

/// The file of --benchmark_out, written by Google Benchmark's own reporter.
class GoogleBenchmark::Report {
 public:
  Report(const std::string& path, const std::string& format) : file_(path) {
    check(file_.good(), "cannot write '{}' (--benchmark_out)", path);
    if (format == "json" || format.empty()) {
      reporter_ = std::make_unique<benchmark::JSONReporter>();
    } else {
      check(format == "console", "--benchmark_out_format='{}' is not in json | console", format);
      reporter_ = std::make_unique<benchmark::ConsoleReporter>(benchmark::ConsoleReporter::OO_None);
    }
    reporter_->SetOutputStream(&file_);
    reporter_->SetErrorStream(&file_);
  }

  /// Runs of one call, one per repetition.
  void add(const std::vector<Run>& runs) {
    if (!opened_) {
      benchmark::BenchmarkReporter::Context context;
      context.name_field_width = 48;
      reporter_->ReportContext(context);
      opened_ = true;
    }
    reporter_->ReportRuns(runs);
  }

  ~Report() {
    if (opened_) reporter_->Finalize();
  }
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

 private:
  std::ofstream file_;
  std::unique_ptr<benchmark::BenchmarkReporter> reporter_;
  bool opened_ = false;
};

GoogleBenchmark::GoogleBenchmark(std::span<const std::string> flags) {
  std::vector<std::string> rest(flags.begin(), flags.end());
  const std::string path = take_flag(rest, "benchmark_out");
  const std::string format = take_flag(rest, "benchmark_out_format");
  const std::string repetitions = take_flag(rest, "benchmark_repetitions");
  check(take_flag(rest, "benchmark_format").empty(),
        "--benchmark_format: arena prints its own table; use --json, or --benchmark_out=FILE with "
        "--benchmark_out_format for Google Benchmark's own report");
  check(!path.empty() || format.empty(), "--benchmark_out_format needs --benchmark_out=FILE");
  if (!repetitions.empty()) {
    const OptionSpec spec = integer_option("benchmark_repetitions", 9, 1, kMostRepetitions, "");
    repetitions_ = std::get<Index>(parse_option("bench", spec, repetitions));
  }
  initialise(std::move(rest));
  if (!path.empty()) report_ = std::make_unique<Report>(path, format);
}

GoogleBenchmark::~GoogleBenchmark() = default;

Index GoogleBenchmark::repetitions(Index fallback) const {
  return repetitions_ > 0 ? repetitions_ : fallback;
}

std::vector<std::vector<double>> GoogleBenchmark::time(std::span<const TimedCall> calls,
                                                       Index repetitions,
                                                       const std::function<void()>& between) {
  benchmark::ClearRegisteredBenchmarks();
  for (const TimedCall& call : calls) add_benchmark(call);
  const std::vector<Run> warm_up = run_round(true);

  benchmark::ClearRegisteredBenchmarks();
  for (const Run& run : warm_up) {
    add_benchmark(calls[index_of(run, calls)])->Iterations(run.iterations);
  }
  std::vector<std::vector<Run>> runs(calls.size());
  for (Index round = 0; round < repetitions && !warm_up.empty(); ++round) {
    between();
    for (Run& run : run_round(false)) {
      // Shown as one benchmark with many repetitions, under its plain name.
      run.run_name.iterations.clear();
      run.run_name.repetitions.clear();
      run.run_name.time_type.clear();
      run.repetition_index = round;
      run.repetitions = repetitions;
      runs[index_of(run, calls)].push_back(std::move(run));
    }
  }
  benchmark::ClearRegisteredBenchmarks();

  std::vector<std::vector<double>> times(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    for (const Run& run : runs[i]) times[i].push_back(nanoseconds_per_call(run));
    if (report_ && !runs[i].empty()) report_->add(runs[i]);
  }
  return times;
}

}  // namespace arena
