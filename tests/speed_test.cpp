// The speed view, and the working set that it shows.

#include <gtest/gtest.h>

#include <algorithm>

#include "results/table.hpp"
#include "results/working_set.hpp"
#include "tests/some_records.hpp"

namespace arena {
namespace {

/// Times in ms at lengths 1024, 2048, ... with flops as the square of the length, or as the length
/// where the name says so.
std::vector<Record> growing(const std::vector<std::pair<std::string, std::vector<double>>>& rows) {
  std::vector<Record> all;
  for (const auto& [variant, times] : rows) {
    double n = 1;
    for (const double time : times) {
      all.push_back(timing(variant, static_cast<Index>(1024 * n), time));
      all.back().flops = variant.starts_with("linear") ? 4e9 * n : 40e9 * n * n;
      all.back().share_of_peak = 0.5 / n;
      n *= 2;
    }
  }
  return all;
}

/// Slopes, intervals and crossings were computed apart, in Python.
constexpr const char* kSpeed = R"(Speed: median ms (kernel forward, 8 heads of 64, 1 thread)
variant    1024  2048  4096  8192  slope     low   high  short     beats blocked
dense      3.00  12.0  48.0   OOM  1.000   1.000  1.000  -      never up to 4096
blocked    1.00  4.00  16.0  64.0  1.000   1.000  1.000  -                     -
fades     0.900  3.00  14.0  70.0  1.136   0.954  1.319  1024    only up to 6202
linear_a   2.00  4.40  8.00  16.0  0.986   0.830  1.143  -                  2227
linear_b  0.500  1.00  2.20  4.00  1.000  -0.009  2.009  1024             always

Time and flops as parts of those of blocked (kernel forward, 8 heads of 64, 1 thread)
variant   time 1024  time 2048  time 4096  time 8192  flops 1024  flops 2048  flops 4096  flops 8192
dense          3.00       3.00       3.00          -        1.00        1.00        1.00        1.00
blocked        1.00       1.00       1.00       1.00        1.00        1.00        1.00        1.00
fades         0.900      0.750      0.875       1.09        1.00        1.00        1.00        1.00
linear_a       2.00       1.10      0.500      0.250       0.100      0.0500      0.0250      0.0125
linear_b      0.500      0.250      0.138     0.0625       0.100      0.0500      0.0250      0.0125

% of the peak multiply-add rate (kernel forward, 8 heads of 64, 1 thread)
variant   1024  2048  4096  8192
dense     50.0  25.0  12.5     -
blocked   50.0  25.0  12.5  6.25
fades     50.0  25.0  12.5  6.25
linear_a  50.0  25.0  12.5  6.25
linear_b  50.0  25.0  12.5  6.25

Working set in MiB (kernel forward, 8 heads of 64, 1 thread; L1d 48 KiB, L2 2 MiB, L3 32 MiB)
variant   1024  2048  4096  8192
dense     9.00  17.0  33.0     -
blocked   9.00  17.0  33.0  65.0
fades     9.00  17.0  33.0  65.0
linear_a  9.00  17.0  33.0  65.0
linear_b  9.00  17.0  33.0  65.0

slope: of log time against log of the variant's own flops over lengths, low and high: its 95 % interval; short: lengths left out of it, whose call takes less than 1 ms.
beats blocked: from which length on it takes less time, between measured lengths by a line in log-log.
working set: inputs, outputs and parameters, with a backward pass also their gradients, and the measured workspace.
fades (kernel forward, 8 heads of 64, 1 thread): slope 1.136 (0.954 to 1.319) is not within 0.9 to 1.1; working set 17.0 MiB at 2048 (in L3), 65.0 MiB at 8192 (in no cache).
linear_a (kernel forward, 8 heads of 64, 1 thread): slope 0.986 (0.830 to 1.143) may not be within 0.9 to 1.1; working set 9.00 MiB at 1024 (in L3), 65.0 MiB at 8192 (in no cache).
linear_b (kernel forward, 8 heads of 64, 1 thread): slope 1.000 (-0.009 to 2.009) may not be within 0.9 to 1.1; working set 17.0 MiB at 2048 (in L3), 65.0 MiB at 8192 (in no cache).
Machine: Test CPU, 2 cores, x86-64-v3.
)";

TEST(Speed, GrowsOverLengths) {
  std::vector<Record> all = growing({{"blocked", {1, 4, 16, 64}},
                                     {"linear_a", {2, 4.4, 8, 16}},
                                     {"linear_b", {0.5, 1, 2.2, 4}},
                                     {"dense", {3, 12, 48, 0}},
                                     {"fades", {0.9, 3, 14, 70}}});
  Record& refused = *std::ranges::find_if(
      all, [](const Record& r) { return r.variant == "dense" && r.length == 8192; });
  refused.status = "OOM", refused.time_ns_median.reset(), refused.share_of_peak.reset();
  refused.workspace_bytes.reset();
  EXPECT_EQ(table(all, {.view = "speed"}), kSpeed);
}

TEST(Speed, KeepsMachinesGroupsAndPrecisionsApart) {
  std::vector<Record> all = growing({{"blocked", {1, 4}}, {"local", {2, 3}}});
  for (Record& r : growing({{"blocked", {10, 40}}, {"local", {2, 3}}})) {
    r.machine.cpu = "Other CPU";
    if (r.variant == "local") r.group = "other";
    all.push_back(std::move(r));
  }
  const std::string text = table(all, {.view = "speed", .format = "csv"});
  const auto holds = [&](const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(holds("1 thread, on Test CPU)\nvariant,1024")) << text;
  EXPECT_TRUE(holds("1 thread, on Other CPU)\nvariant,1024")) << text;
  EXPECT_TRUE(holds("local,2.00,3.00,0.292,-,-,-,1671\n")) << text;
  EXPECT_TRUE(holds("local,2.00,3.00,0.292,-,-,-,-\n")) << text;  // not in one group with blocked
  EXPECT_TRUE(holds("2 machines, whose times do not compare")) << text;

  all = {timing("blocked", 1024, 1), timing("blocked", 1024, 4)};
  all[0].id = "b", all[0].options = {{"precision", std::string("bfloat16")}};
  all[1].options = {{"precision", std::string("float32")}};
  all[0].precision = "bfloat16";
  const std::string rows = table(all, {.view = "speed", .format = "csv"});
  EXPECT_NE(rows.find("blocked[precision=bfloat16],0.250"), std::string::npos) << rows;
}

constexpr double kMebibyte = 1 << 20;

TEST(WorkingSet, CountsGradientsWithABackwardPass) {
  Record record = timing("local", 1024, 1);  // matrices of 2 MiB, 1 MiB of workspace
  EXPECT_EQ(*working_set_bytes(record) / kMebibyte, 4 * 2 + 1);
  record.parameters = kMebibyte;
  EXPECT_EQ(*working_set_bytes(record) / kMebibyte, 4 * 2 + 4 + 1);
  record.pass = "train";
  EXPECT_EQ(*working_set_bytes(record) / kMebibyte, 2 * (4 * 2 + 4) + 1);
  record.batch = 3;
  EXPECT_EQ(*working_set_bytes(record) / kMebibyte, 2 * (3 * 4 * 2 + 4) + 1);
  record.scope = "layer";
  EXPECT_EQ(*working_set_bytes(record) / kMebibyte, 2 * (3 * 2 * 2 + 4) + 1);
  record.scope = "step";
  EXPECT_EQ(*working_set_bytes(record) / kMebibyte, 2 * 4 + 1);
  record.workspace_bytes.reset();
  EXPECT_EQ(working_set_bytes(record), std::nullopt);
}

TEST(WorkingSet, LiesInTheSmallestCacheOfData) {
  EXPECT_EQ(smallest_cache(kMachine, 1000), "L1d");
  EXPECT_EQ(smallest_cache(kMachine, 60 * 1024), "L2");
  EXPECT_EQ(smallest_cache(kMachine, 2 * kMebibyte), "L2");
  EXPECT_EQ(smallest_cache(kMachine, 2 * kMebibyte + 1), "L3");
  EXPECT_EQ(smallest_cache(kMachine, 33 * kMebibyte), "no cache");
  EXPECT_EQ(smallest_cache({.cpu = "other", .caches = {}, .isa = ""}, 1000), "");
}

}  // namespace
}  // namespace arena
