#include "harness/bench/bench.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/bench/contender.hpp"
#include "harness/bench/google.hpp"
#include "harness/bench/gradient_probe.hpp"
#include "results/export.hpp"
#include "tests/broken_variants.hpp"
#include "tests/expect_error.hpp"

namespace arena {
namespace {

TEST(Bench, FillsARecordPerVariant) {
  BenchShape shape = small_shape(Pass::kTrain);
  shape.batch = 3;
  shape.causal = true;
  const auto records =
      run_bench_group(group_of(shape, {"dense", "test_broken"}), [](const std::string&) {});
  ASSERT_EQ(records.size(), 2U);
  for (const Record& record : records) {
    EXPECT_EQ(record.status, "OK") << record.error;
    EXPECT_EQ(record.time_ns.size(), 3U);
    EXPECT_GT(record.time_ns_median.value(), 0);
    EXPECT_GE(record.time_ns_mad.value(), 0);
    EXPECT_GT(record.time_ns_cold.value(), 0);
    EXPECT_LT(record.max_error.value(), 1e-5);
    EXPECT_EQ(record.parameters.value(), 0);
    EXPECT_NEAR(record.tokens_per_s.value() * record.time_ns_median.value(), 3 * 37 * 1e9, 1);
    EXPECT_EQ(record.pass, "train");
    EXPECT_EQ(record.batch, 3);
    EXPECT_FALSE(record.rss_peak_bytes.has_value());
  }
  const Record& dense = records.front();
  EXPECT_EQ(dense.flops.value(), 3 * 12.0 * 37 * 37 * 16);
  EXPECT_EQ(dense.flops_per_s.value(), dense.flops.value() * 1e9 / dense.time_ns_median.value());
  EXPECT_GE(dense.workspace_bytes.value(), dense.analytic_bytes.value());
  EXPECT_LE(dense.workspace_bytes.value(), 1.05 * dense.analytic_bytes.value() + (1 << 18));
  EXPECT_GT(dense.share_of_l1.value(), 0);
  EXPECT_GT(dense.share_of_peak.value(), 0);
}

TEST(Bench, WorkspaceIsTheSameEveryTime) {
  const BenchShape shape = small_shape(Pass::kBackward);
  EXPECT_EQ(run_one(shape, "dense").workspace_bytes, run_one(shape, "dense").workspace_bytes);
}

TEST(Bench, EveryRegisteredVariantPassesInBothScopes) {
  for (const char* scope : {"kernel", "layer"}) {
    for (const std::string& name : Registry<Variant>::names()) {
      if (name.starts_with("test_")) continue;
      BenchShape shape = small_shape(Pass::kTrain);
      shape.scope = scope;
      shape.threads = 2;
      const Record record = run_one(shape, name);
      EXPECT_EQ(record.status, "OK") << scope << ' ' << name << ": " << record.error;
    }
  }
}

TEST(Bench, WrongOutputGetsNoTime) {
  for (const char* fault : {"forward", "nan", "unsteady"}) {
    for (const char* scope : {"kernel", "layer"}) {
      BenchShape shape = small_shape(Pass::kForward);
      shape.scope = scope;
      const Record record = run_one(shape, std::string("test_broken[fault=") + fault + "]");
      EXPECT_EQ(record.status, "INCORRECT") << scope << ' ' << fault;
      EXPECT_TRUE(record.time_ns.empty());
      EXPECT_FALSE(record.time_ns_median.has_value());
    }
  }
}

TEST(Bench, WrongGradientGetsNoTime) {
  for (const char* fault : {"d_query", "d_key", "d_value"}) {
    for (const Pass pass : {Pass::kBackward, Pass::kTrain}) {
      const Record record =
          run_one(small_shape(pass), std::string("test_broken[fault=") + fault + "]");
      EXPECT_EQ(record.status, "INCORRECT") << fault;
    }
  }
}

TEST(Bench, WhatCannotRunIsARow) {
  EXPECT_EQ(run_one(small_shape(Pass::kForward), "test_headless").status, "UNSUPPORTED");
  EXPECT_EQ(run_one(small_shape(Pass::kForward), "test_huge").status, "OOM");
  BenchShape causal = small_shape(Pass::kForward);
  causal.causal = true;
  const Record record = run_one(causal, "test_huge");
  EXPECT_EQ(record.status, "UNSUPPORTED");
  EXPECT_NE(record.error.find("not causal"), std::string::npos) << record.error;
}

TEST(Bench, InputsAreAFunctionOfTheShape) {
  const BenchShape shape = small_shape(Pass::kTrain);
  const BenchInputs a(shape), b(shape);
  EXPECT_EQ(a.tensors, b.tensors);
  EXPECT_EQ(a.d_out, b.d_out);
  EXPECT_NE(a.tensors[0][0], a.tensors[0][1]);
  BenchShape two = shape;
  two.batch = 2;
  EXPECT_EQ(BenchInputs(two).tensors[0], a.tensors[0]);
}

TEST(Bench, TheOracleCanBeAskedForSomeHeads) {
  const BenchShape shape = small_shape(Pass::kForward);
  const BenchInputs inputs(shape);
  const std::vector<Matrix>& tensors = inputs.tensors.front();
  const std::vector<Weights> weights(2);
  Workers workers(1);
  const auto asked_for = [&](std::vector<Index> heads) {
    return oracle_heads(Registry<Variant>::find("dense"), bench_problem(shape, {}),
                        {.team = workers.team()}, {2, HeadLayout::kStacked},
                        {tensors[0], tensors[1], tensors[2]}, weights, {{36, 0}, std::move(heads)});
  };
  const MatrixD both = asked_for({0, 1});
  EXPECT_EQ(asked_for({1}), both.rightCols(8));
  EXPECT_NE(both.leftCols(8), both.rightCols(8));
}

TEST(Bench, SampledRowsReachBothEnds) {
  EXPECT_EQ(sampled_rows(1, 64), std::vector<Index>{0});
  EXPECT_EQ(sampled_rows(64, 64).size(), 64U);
  const std::vector<Index> rows = sampled_rows(1000, 64);
  EXPECT_EQ(rows.size(), 64U);
  EXPECT_EQ(rows.front(), 0);
  EXPECT_EQ(rows.back(), 999);
  EXPECT_EQ(std::set<Index>(rows.begin(), rows.end()).size(), rows.size());
}

TEST(Bench, PassNamesRoundTrip) {
  for (const Pass pass : {Pass::kForward, Pass::kBackward, Pass::kTrain}) {
    EXPECT_EQ(parse_pass(pass_name(pass)), pass);
  }
  EXPECT_ERROR(parse_pass("forwards"), "did you mean 'forward'?");
}

TEST(GradientProbe, TellsRightFromWrong) {
  Matrix x(3, 4);
  fill_normal(RandomKey(5), 1, x);
  const auto loss = [](std::span<const Matrix> moved) {
    return moved[0].cast<double>().array().pow(3).sum();
  };
  const Matrix right = 3 * x.array().square();
  EXPECT_LT(directional_error(std::vector<ProbedTensor>{{x, right}}, loss), 1e-4);
  EXPECT_GT(directional_error(std::vector<ProbedTensor>{{x, Matrix(1.01 * right)}}, loss), 5e-3);
  EXPECT_GT(directional_error(std::vector<ProbedTensor>{{x, Matrix(Matrix::Zero(3, 4))}}, loss),
            0.9);
}

TEST(GradientProbe, TogetherTensorsMatterAlike) {
  Matrix x(3, 4), y(5, 2);
  fill_normal(RandomKey(5), 1, x);
  fill_normal(RandomKey(6), 1, y);
  int runs = 0;
  const auto loss = [&](std::span<const Matrix> moved) {
    ++runs;
    return moved[0].cast<double>().array().pow(3).sum() +
           100 * moved[2].cast<double>().array().pow(3).sum();
  };
  const auto error = [&](float x_factor, float y_factor) {
    const Matrix d_x = x_factor * 3 * x.array().square(), d_y = y_factor * 300 * y.array().square();
    return directional_error(std::vector<ProbedTensor>{{x, d_x}, {Matrix(), Matrix()}, {y, d_y}},
                             loss, Moved::kTogether);
  };
  EXPECT_LT(error(1, 1), 1e-4);
  EXPECT_EQ(runs, 2);
  EXPECT_GT(error(1.03F, 1), 1e-2);
  EXPECT_GT(error(1, 1.03F), 1e-2);
  EXPECT_GT(error(0, 1), 0.5);
}

TEST(Google, RunsRoundRobin) {
  std::string order;
  std::vector<TimedCall> calls;
  for (const char name : {'a', 'b', 'c'}) {
    calls.push_back({.name = std::string("round/") + name,
                     .prepare = [&order, name] { order += name; },
                     .call = [] {},
                     .finish = [] {}});
  }
  GoogleBenchmark google(std::vector<std::string>{"--benchmark_min_time=0.0001"});
  const auto times = google.time(calls, 4, [&order] { order += '|'; });
  ASSERT_GE(order.size(), 16U);
  EXPECT_EQ(order.substr(order.size() - 16), "|abc|abc|abc|abc");
  EXPECT_EQ(std::ranges::count(order, '|'), 4);
  ASSERT_EQ(times.size(), 3U);
  for (const auto& one : times) EXPECT_EQ(one.size(), 4U);
}

TEST(Google, FilterLeavesOut) {
  const auto nothing = [] {};
  const std::vector<TimedCall> calls = {
      {.name = "one", .prepare = nothing, .call = nothing, .finish = nothing},
      {.name = "two", .prepare = nothing, .call = nothing, .finish = nothing}};
  {
    GoogleBenchmark google(
        std::vector<std::string>{"--benchmark_min_time=0.0001", "--benchmark_filter=tw"});
    const auto times = google.time(calls, 2);
    EXPECT_TRUE(times[0].empty());
    EXPECT_EQ(times[1].size(), 2U);
  }
  GoogleBenchmark reset(std::vector<std::string>{"--benchmark_filter=."});
}

TEST(Google, WritesItsOwnReportOverAllGroups) {
  const std::string path = testing::TempDir() + "google_" + std::to_string(getpid()) + ".json";
  std::vector<Record> records;
  {
    GoogleBenchmark google(
        std::vector<std::string>{"--benchmark_min_time=0.0001", "--benchmark_out=" + path});
    BenchGroup group = group_of(small_shape(Pass::kForward), {"dense"});
    run_bench_group(group, google, [](const std::string&) {});
    group.shape.length = 38;
    records = run_bench_group(group, google, [](const std::string&) {});
  }
  std::ifstream file(path);
  const nlohmann::json report = nlohmann::json::parse(file);
  ASSERT_EQ(report["benchmarks"].size(), 6U);
  const auto& last = report["benchmarks"].back();
  EXPECT_EQ(last["name"], timing_name(records.front()));
  const nlohmann::json exported = nlohmann::json::parse(export_timings(records, "gbench"));
  EXPECT_EQ(last["name"], exported["benchmarks"].front()["name"]);
  EXPECT_EQ(last["run_name"], exported["benchmarks"].front()["run_name"]);
  EXPECT_EQ(last["repetitions"], 3);
  EXPECT_EQ(last["repetition_index"], 2);
  EXPECT_GT(last["flops_per_s"], 0);
  EXPECT_GT(last["workspace_bytes"], 0);
  unlink(path.c_str());
}

TEST(Google, RefusesWhatItDoesNotKnow) {
  using Flags = std::vector<std::string>;
  EXPECT_ERROR(GoogleBenchmark(Flags{"--benchmark_colour=no"}), "--benchmark_colour=no");
  EXPECT_ERROR(GoogleBenchmark(Flags{"--benchmark_out_format=json"}), "--benchmark_out=FILE");
  EXPECT_ERROR(GoogleBenchmark(Flags{"--benchmark_out=/no/such/folder/x"}), "/no/such/folder/x");
  EXPECT_ERROR(GoogleBenchmark(Flags{"--benchmark_repetitions=0"}), "benchmark_repetitions");
  EXPECT_ERROR(GoogleBenchmark(Flags{"--benchmark_format=csv"}), "--json");
  EXPECT_EQ(GoogleBenchmark(Flags{"--benchmark_repetitions=20"}).repetitions(9), 20);
  EXPECT_EQ(GoogleBenchmark(Flags{}).repetitions(9), 9);
}

}  // namespace
}  // namespace arena
