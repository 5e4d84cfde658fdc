// Scope step: a training step of a whole model as a timing.

#include <gtest/gtest.h>

#include "harness/bench/step.hpp"
#include "tests/broken_variants.hpp"

namespace arena {
namespace {

BenchShape small_step(const std::string& task = "") {
  BenchShape shape = small_shape(Pass::kTrain);
  shape.scope = "step";
  shape.batch = 3;
  shape.task = task;
  if (!task.empty()) shape.length = 64;
  return shape;
}

TEST(BenchStep, TimesAStepOfEveryVariant) {
  for (const std::string& name : Registry<Variant>::names()) {
    if (name.starts_with("test_")) continue;
    BenchShape shape = small_step();
    shape.threads = 2;
    const Record record = run_one(shape, name);
    EXPECT_EQ(record.status, "OK") << name << ": " << record.error;
    EXPECT_EQ(record.time_ns.size(), 3U);
    EXPECT_GT(record.time_ns_cold.value(), 0);
    EXPECT_GT(record.workspace_bytes.value(), 0);
    EXPECT_NEAR(record.tokens_per_s.value() * record.time_ns_median.value(), 3 * 37 * 1e9, 1);
  }
}

TEST(BenchStep, CountsTheModelsWork) {
  const Record record = run_one(small_step(), "dense");
  // Width 16, hidden 32, 2 layers; classifier 16 x 128 x 10; attention 14 N^2 d per head and layer.
  const double weights = 2 * (4 * 16 * 16 + 2 * 16 * 32);
  const double expected =
      3 * (6 * 37 * weights + 6 * (16 * 128 + 128 * 10) + 2 * 2 * 14.0 * 37 * 37 * 8);
  EXPECT_EQ(record.flops.value(), expected);
}

TEST(BenchStep, TaskKeepsTrueLengths) {
  const BenchShape shape = small_step("listops[max_len=64]");
  const StepBatch batch(shape);
  EXPECT_EQ(batch.max_len(), 64);
  EXPECT_GT(batch.lengths().at("min"), 16);
  EXPECT_LT(batch.lengths().at("max"), 64);
  Index tokens = 0;
  for (const Sample& sample : batch.samples()) tokens += static_cast<Index>(sample.tokens.size());
  EXPECT_EQ(batch.tokens(), tokens);
  EXPECT_EQ(3 * batch.lengths().at("mean"), tokens);
  const Record record = run_one(shape, "blocked");
  EXPECT_EQ(record.status, "OK") << record.error;
  EXPECT_EQ(record.lengths, batch.lengths());
  EXPECT_FALSE(record.dataset_hash.empty());
  EXPECT_NEAR(record.tokens_per_s.value() * record.time_ns_median.value(),
              static_cast<double>(batch.tokens()) * 1e9, 1);
}

TEST(BenchStep, WhatNeedsEdgesIsARowWithoutThem) {
  const auto records = run_bench_group(
      group_of(small_step("listops[max_len=64]"), {"graph", "blocked"}), [](const std::string&) {});
  EXPECT_EQ(records[0].status, "UNSUPPORTED");
  EXPECT_NE(records[0].error.find("along the edges"), std::string::npos) << records[0].error;
  EXPECT_EQ(records[1].status, "OK") << records[1].error;
}

TEST(BenchStep, WrongHeadsGetNoTime) {
  for (const char* fault : {"forward", "nan", "d_query", "d_key", "d_value"}) {
    const Record record = run_one(small_step(), std::string("test_broken[fault=") + fault + "]");
    EXPECT_EQ(record.status, "INCORRECT") << fault;
    EXPECT_TRUE(record.time_ns.empty());
  }
}

TEST(BenchStep, WrongLayersGetNoTime) {
  // Alone, a head of the first layer is right.
  const Record record = run_one(small_step(), "test_broken[fault=d_lost_in_layer_1]");
  EXPECT_EQ(record.status, "INCORRECT");
  EXPECT_NE(record.error.find("gradient of the weights"), std::string::npos) << record.error;
  EXPECT_TRUE(record.time_ns.empty());
}

TEST(BenchStep, ModelsGradientIsHeldAgainstItsLoss) {
  const BenchShape shape = small_step();
  const StepBatch batch(shape);
  Workers workers(1);
  const auto error = [&](const std::string& variant) {
    return StepContender(shape, chosen(variant), batch, workers)
        .check_gradient(workers.team())
        .error;
  };
  EXPECT_LT(error("blocked"), 5e-3);
  EXPECT_GT(error("test_broken[fault=d_lost]"), 2e-2);
}

}  // namespace
}  // namespace arena
