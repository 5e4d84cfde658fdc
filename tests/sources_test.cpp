#include "results/sources.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "results/store.hpp"
#include "tests/expect_error.hpp"
#include "tests/some_records.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

constexpr const char* kReport = R"({
  "context": {"host_name": "vm", "num_cpus": 2},
  "benchmarks": [
    {"name": "sum/8", "run_name": "sum/8", "run_type": "iteration", "repetition_index": 0,
     "real_time": 3.0, "cpu_time": 1.0, "time_unit": "us", "workspace_bytes": 4096.0},
    {"name": "sum/8", "run_name": "sum/8", "run_type": "iteration", "repetition_index": 1,
     "real_time": 5.0, "cpu_time": 1.0, "time_unit": "us", "workspace_bytes": 4096.0},
    {"name": "sum/8_median", "run_name": "sum/8", "run_type": "aggregate", "real_time": 4.0,
     "time_unit": "us"},
    {"name": "broken", "run_type": "iteration", "error_occurred": true, "error_message": "why"}
  ]})";

TEST(Sources, ReadsWhatGoogleBenchmarkWrites) {
  const std::vector<Record> records = google_benchmark_records(kReport, "x.json");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].variant, "sum/8");
  EXPECT_EQ(records[0].time_ns, (std::vector<double>{3000, 5000}));
  EXPECT_EQ(records[0].time_ns_median, 4000);
  EXPECT_EQ(records[0].workspace_bytes, 4096);
  EXPECT_EQ(records[0].machine.cpu, "host vm");
  EXPECT_EQ(records[0].machine.cores, 2);
  EXPECT_EQ(records[1].status, "ERROR");
  EXPECT_EQ(records[1].error, "why");
}

TEST(Sources, RefusesOtherReports) {
  EXPECT_ERROR(google_benchmark_records("[]", "x.json"), "x.json: not Google Benchmark's JSON");
  EXPECT_ERROR(google_benchmark_records(R"({"benchmarks": [3]})", "x.json"), "benchmarks[0]");
  EXPECT_ERROR(google_benchmark_records(R"({"benchmarks": [{"name": "a"}]})", "x.json"),
               "x.json: benchmarks[0]: field 'real_time'");
  EXPECT_ERROR(google_benchmark_records(
                   R"({"benchmarks": [{"name": "a", "real_time": 1, "time_unit": "h"}]})", "x"),
               "is h");
  EXPECT_ERROR(google_benchmark_records(
                   R"({"benchmarks": [{"name": "a", "real_time": 1e305, "time_unit": "s"}]})", "x"),
               "should be a time, is 1e+305 s");
  EXPECT_ERROR(
      google_benchmark_records(R"({"context": {"num_cpus": 1e300}, "benchmarks": []})", "x"),
      "x: field 'num_cpus' should be a count, is 1e+300");
}

TEST(Sources, BaselinesAreCopies) {
  const TemporaryFolder folder;
  const std::string dir = folder.path() + "/run", baselines = folder.path() + "/baselines";
  EXPECT_TRUE(baseline_names(baselines).empty());
  Store(dir).save(timing("local", 256, 3));
  save_baseline(baselines, "before", dir, false);
  Store(dir).save(timing("dense", 256, 3));
  EXPECT_EQ(load_results("before", baselines).size(), 1U);
  EXPECT_EQ(load_results(dir, baselines).size(), 2U);
  EXPECT_EQ(load_results(Store(dir).cell_path("dense256"), baselines).size(), 1U);
  EXPECT_ERROR(save_baseline(baselines, "before", dir, false), "'before' is there already");
  save_baseline(baselines, "before", dir, true);
  EXPECT_EQ(load_results("before", baselines).size(), 2U);
  EXPECT_EQ(baseline_names(baselines), (std::vector<std::string>{"before"}));
}

TEST(Sources, RefusesWhatIsNotThere) {
  const TemporaryFolder folder;
  const std::string dir = folder.path() + "/run", baselines = folder.path() + "/baselines";
  Store(dir).save(timing("local", 256, 3));
  save_baseline(baselines, "before", dir, false);
  EXPECT_ERROR(load_results("befor", baselines), "did you mean 'before'");
  EXPECT_ERROR(load_results(baselines, baselines), "there is no folder");
  EXPECT_ERROR(save_baseline(baselines, "../up", dir, false), "bad name '../up'");
  EXPECT_ERROR(save_baseline(baselines, "new", folder.path(), false), "no results");
}

}  // namespace
}  // namespace arena
