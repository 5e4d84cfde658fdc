#include "results/compare.hpp"

#include <gtest/gtest.h>

#include "results/format.hpp"
#include "tests/expect_error.hpp"
#include "tests/some_records.hpp"

namespace arena {
namespace {

/// Nine repetitions around a median, half a percent apart.
Record timed(const std::string& variant, double median_ms) {
  Record r = timing(variant, 256, median_ms);
  for (int i = -4; i <= 4; ++i) r.time_ns.push_back(median_ms * 1e6 * (1 + 0.005 * i));
  return r;
}

/// A training of which the first `right` of 400 test examples are right.
Record scored(std::uint64_t seed, int right) {
  Record r = training("dense", seed, right / 400.0);
  r.metrics["test_labels"] = r.metrics["test_sequences"] = 400;
  for (int first = 0; first < 400; first += 4) {
    r.correct += "08cef"[static_cast<std::size_t>(std::clamp(right - first, 0, 4))];
  }
  return r;
}

std::vector<Record> seeds(int count, int right) {
  std::vector<Record> all;
  for (int seed = 0; seed < count; ++seed) {
    all.push_back(scored(static_cast<std::uint64_t>(seed), right + seed));
  }
  return all;
}

ComparisonResult compared(const std::vector<Record>& base, const std::vector<Record>& next) {
  return compare(base, next, {});
}

Comparison only(const ComparisonResult& result, const std::string& measure) {
  for (const Comparison& row : result.comparisons) {
    if (row.measure == measure) return row;
  }
  ADD_FAILURE() << "no " << measure;
  return {};
}

TEST(Compare, TimesByRanksAndByTheRatioOfMedians) {
  const Comparison slower = only(compared({timed("local", 10)}, {timed("local", 11)}), "time");
  EXPECT_EQ(slower.verdict, Verdict::kWorse);
  EXPECT_NEAR(*slower.change, 0.1, 1e-9);
  EXPECT_DOUBLE_EQ(*slower.p, 2.0 / 48620);
  EXPECT_LT(slower.interval->low, 0.1);
  EXPECT_GT(slower.interval->low, 0.05);
  EXPECT_EQ(only(compared({timed("local", 11)}, {timed("local", 10)}), "time").verdict,
            Verdict::kBetter);
  EXPECT_EQ(only(compared({timed("local", 10)}, {timed("local", 10.05)}), "time").verdict,
            Verdict::kSame);
  EXPECT_TRUE(compared({timed("local", 10)}, {timed("local", 11)}).regressed());
  EXPECT_FALSE(compared({timed("local", 11)}, {timed("local", 10)}).regressed());
}

TEST(Compare, ASmallOrAnUncertainChangeIsNoRegression) {
  // Significant, but below 3 %; the interval does not rule 3 % out.
  const Comparison small = only(compared({timed("local", 10)}, {timed("local", 10.25)}), "time");
  EXPECT_LT(*small.p, 0.05);
  EXPECT_EQ(small.verdict, Verdict::kUnclear);
  Record noisy = timed("local", 10.8);
  for (std::size_t i = 0; i < noisy.time_ns.size(); ++i) noisy.time_ns[i] *= i % 2 == 0 ? 0.8 : 1;
  EXPECT_EQ(only(compared({timed("local", 10)}, {noisy}), "time").verdict, Verdict::kUnclear);
}

TEST(Compare, TooFewRepetitionsAreSaidInsteadOfSame) {
  Record few = timed("local", 20);
  few.time_ns.resize(4);
  const Comparison row = only(compared({timed("local", 10)}, {few}), "time");
  EXPECT_EQ(row.verdict, Verdict::kTooFew);
  EXPECT_EQ(row.why, "9 and 4 repetitions, 5 are needed");
}

TEST(Compare, TimesOfOtherMachinesAreNotJudged) {
  Record elsewhere = timed("local", 20);
  elsewhere.machine.cpu = "Other CPU";
  const ComparisonResult result = compared({timed("local", 10)}, {elsewhere});
  EXPECT_EQ(only(result, "time").verdict, Verdict::kNotJudged);
  EXPECT_NE(only(result, "time").why.find("Other CPU, 2 cores was Test CPU"), std::string::npos);
  EXPECT_EQ(only(result, "workspace").verdict, Verdict::kSame);
}

TEST(Compare, ManyComparisonsAreCorrectedFor) {
  std::vector<Record> base, next;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "v" + std::to_string(i);
    base.push_back(timed(name, 10)), next.push_back(timed(name, 10));
  }
  for (double& time : next[0].time_ns) time *= 1.04;
  next[0].time_ns[0] = 9.7e6;
  next[0].time_ns_median = 10.4e6;
  const Comparison alone = only(compared({base[0]}, {next[0]}), "time");
  EXPECT_EQ(alone.verdict, Verdict::kWorse) << *alone.p;
  const ComparisonResult result = compared(base, next);
  for (const Comparison& row : result.comparisons) {
    if (row.measure == "time" && row.cell.starts_with("v0,")) {
      EXPECT_NEAR(*row.p, 40 * *alone.p, 1e-12);
      EXPECT_EQ(row.verdict, Verdict::kUnclear);
    }
  }
  EXPECT_FALSE(result.regressed());
}

TEST(Compare, MemoryIsExact) {
  Record bigger = timed("local", 10);
  bigger.workspace_bytes = *bigger.workspace_bytes * 1.02;
  const ComparisonResult result = compared({timed("local", 10)}, {bigger});
  EXPECT_EQ(only(result, "workspace").verdict, Verdict::kWorse);
  EXPECT_TRUE(result.regressed());
  EXPECT_FALSE(
      compare(std::vector{timed("local", 10)}, std::vector{bigger}, {.memory = 0.03}).regressed());
  EXPECT_EQ(only(compared({bigger}, {timed("local", 10)}), "workspace").verdict, Verdict::kBetter);
}

TEST(Compare, AccuraciesByExampleAndBySeed) {
  const Comparison worse = only(compared(seeds(5, 300), seeds(5, 280)), "accuracy");
  EXPECT_EQ(worse.verdict, Verdict::kWorse);
  EXPECT_NEAR(*worse.change, -0.05, 1e-12);
  EXPECT_EQ(worse.why, "");
  EXPECT_EQ(only(compared(seeds(5, 280), seeds(5, 300)), "accuracy").verdict, Verdict::kBetter);
  EXPECT_EQ(only(compared(seeds(5, 300), seeds(5, 300)), "accuracy").verdict, Verdict::kSame);
  // One example of 400: neither relevant nor ruled out as large as a point.
  EXPECT_EQ(only(compared(seeds(5, 300), seeds(5, 299)), "accuracy").verdict, Verdict::kSame);
}

TEST(Compare, FewSeedsSayOnlySomethingAboutThemselves) {
  const Comparison fell = only(compared(seeds(2, 300), seeds(2, 200)), "accuracy");
  EXPECT_EQ(fell.verdict, Verdict::kWorse);
  EXPECT_EQ(fell.why, "about 2 seeds only, 5 are needed for any");
  EXPECT_EQ(only(compared(seeds(2, 300), seeds(2, 299)), "accuracy").verdict, Verdict::kTooFew);
  EXPECT_EQ(only(compared(seeds(2, 300), seeds(2, 300)), "accuracy").verdict, Verdict::kSame);
}

TEST(Compare, WithoutBitmapsBySeedsAlone) {
  std::vector<Record> base = seeds(6, 300), next = seeds(6, 200), few = seeds(3, 200);
  for (auto* records : {&base, &next, &few}) {
    for (Record& record : *records) record.correct = "";
  }
  EXPECT_EQ(only(compared(base, next), "accuracy").verdict, Verdict::kWorse);
  EXPECT_EQ(only(compared(base, few), "accuracy").verdict, Verdict::kTooFew);
}

TEST(Compare, WhatFailsNowIsWorse) {
  Record failed = timed("local", 10);
  failed.status = "OOM", failed.time_ns.clear(), failed.time_ns_median.reset();
  const Comparison row = only(compared({timed("local", 10)}, {failed}), "time");
  EXPECT_EQ(row.verdict, Verdict::kWorse);
  EXPECT_EQ(row.why, "now OOM");
  EXPECT_EQ(only(compared({failed}, {timed("local", 10)}), "time").verdict, Verdict::kBetter);
  failed.status = "NO_DATA";
  EXPECT_FALSE(compared({timed("local", 10)}, {failed}).regressed());
}

TEST(Compare, SaysWhatOnlyOneSideHas) {
  const ComparisonResult result =
      compared({timed("local", 10), timed("dense", 10)}, {timed("local", 10), timed("linear", 10)});
  ASSERT_EQ(result.notes.size(), 2U);
  EXPECT_NE(result.notes[0].find("Only in BASE (1): dense,"), std::string::npos);
  EXPECT_NE(result.notes[1].find("Only in NEW (1): linear,"), std::string::npos);
  EXPECT_ERROR(compared({timed("local", 10)}, {timed("dense", 10)}), "nothing to compare");
}

TEST(Compare, IsATableInEveryFormat) {
  Record bigger = timed("local", 11);
  bigger.workspace_bytes = 1 << 19;
  const Tables tables = comparison_tables(compared({timed("local", 10)}, {bigger}));
  const std::string text = format_tables(tables, "csv");
  const std::string cell = "\"local, kernel forward, 8 heads of 64, 1 thread, length 256\"";
  EXPECT_EQ(text.substr(0, text.find("WORSE")),
            "verdict,measure,cell,base,new,unit,change_percent,low,high,p,why\n");
  EXPECT_NE(text.find("WORSE,time," + cell + ",10.0,11.0,ms,10.00,"), std::string::npos) << text;
  EXPECT_NE(text.find("better,workspace," + cell + ",1.00,0.500,MiB,-50.00,-,-,-,\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("# 1 WORSE, 1 better."), std::string::npos) << text;
}

}  // namespace
}  // namespace arena
