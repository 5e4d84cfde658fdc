#include "results/export.hpp"

#include <gtest/gtest.h>

#include "results/sources.hpp"
#include "results/table.hpp"
#include "tests/expect_error.hpp"
#include "tests/some_records.hpp"

namespace arena {
namespace {

std::vector<Record> records() {
  std::vector<Record> all{timing("local", 256, 1.5), timing("dense", 256, 3),
                          training("local", 0, 0.5)};
  all[0].options = {{"window", Index{64}}}, all[0].threads = 2, all[0].causal = true;
  all[0].time_ns = {1.4e6, 1.5e6, 1.75e6}, all[0].time_ns_mad = 1e5;
  all[1].status = "OOM", all[1].time_ns_median.reset();
  return all;
}

std::string shown(const std::string& format) {
  return table(records(), {.format = format});
}

TEST(Export, GithubActionBenchmark) {
  EXPECT_EQ(shown("github-action-benchmark"), R"([
  {
    "name": "kernel/forward/256/local[window=64]/8x64/causal/threads_2",
    "unit": "ns",
    "value": 1500000.0,
    "range": "± 100000",
    "extra": "Test CPU, 2 cores, x86-64-v3"
  }
]
)");
}

TEST(Export, Bencher) {
  EXPECT_EQ(shown("bencher"), R"({
  "kernel/forward/256/local[window=64]/8x64/causal/threads_2": {
    "latency": {
      "value": 1500000.0,
      "lower_value": 1400000.0,
      "upper_value": 1600000.0
    },
    "workspace-bytes": {
      "value": 1048576.0
    }
  }
}
)");
}

/// What is written is what is read again to compare with.
TEST(Export, GoogleBenchmark) {
  const std::vector<Record> read = google_benchmark_records(shown("gbench"), "x.json");
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].variant, "kernel/forward/256/dense/8x64");
  EXPECT_EQ(read[0].status, "ERROR");
  EXPECT_EQ(read[0].error, "OOM");
  EXPECT_EQ(read[1].variant, "kernel/forward/256/local[window=64]/8x64/causal/threads_2");
  EXPECT_EQ(read[1].time_ns, records()[0].time_ns);
  EXPECT_EQ(read[1].workspace_bytes, 1 << 20);
  EXPECT_NE(shown("gbench").find(R"("aggregate_name": "median")"), std::string::npos);
}

TEST(Export, RefusesWhatItHasNoPlaceFor) {
  EXPECT_ERROR(table(records(), {.view = "speed", .format = "gbench"}), "no --view");
  EXPECT_ERROR(table(records(), {.format = "bencher", .sort = "x"}), "--sort");
  EXPECT_ERROR(table(records(), {.format = "benchr"}), "did you mean 'bencher'");
  EXPECT_ERROR(table(std::vector{training("local", 0, 0.5)}, {.format = "gbench"}),
               "no timings among 1 records");
}

}  // namespace
}  // namespace arena
