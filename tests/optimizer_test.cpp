#include "harness/train/optimizer.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr double kPi = 3.14159265358979323846;

Options train_with(const OptionTexts& texts) {
  return {"train", optimizer_options(), texts};
}

TEST(Schedule, ConstantRisesAndStays) {
  const Schedule s(train_with({{"schedule", "constant"}, {"learning_rate", "2"}, {"warmup", "4"}}));
  EXPECT_DOUBLE_EQ(s.learning_rate(0), 0.5);
  EXPECT_DOUBLE_EQ(s.learning_rate(3), 2);
  EXPECT_DOUBLE_EQ(s.learning_rate(499), 2);
}

TEST(Schedule, LinearFallsToZeroAtTheEnd) {
  const Schedule s(train_with(
      {{"schedule", "linear"}, {"learning_rate", "2"}, {"warmup", "100"}, {"steps", "500"}}));
  EXPECT_DOUBLE_EQ(s.learning_rate(0), 0.02);
  EXPECT_DOUBLE_EQ(s.learning_rate(100), 2);
  EXPECT_DOUBLE_EQ(s.learning_rate(300), 1);
  EXPECT_DOUBLE_EQ(s.learning_rate(499), 2.0 / 400);
}

// lra.md 5.2.
TEST(Schedule, RsqrtPeaksAtBaseOverRootOfWarmup) {
  const Schedule s(train_with(
      {{"schedule", "rsqrt"}, {"learning_rate", "0.05"}, {"warmup", "1000"}, {"steps", "5000"}}));
  EXPECT_DOUBLE_EQ(s.learning_rate(0), 0);
  EXPECT_DOUBLE_EQ(s.learning_rate(500), 0.05 / std::sqrt(1000.0) / 2);
  EXPECT_NEAR(s.learning_rate(1000), 1.58e-3, 5e-6);
  EXPECT_DOUBLE_EQ(s.learning_rate(4000), 0.05 / std::sqrt(4000.0));
}

TEST(Schedule, CosineWithWarmup) {
  const Schedule s(train_with(
      {{"schedule", "cosine"}, {"learning_rate", "5e-4"}, {"warmup", "175"}, {"steps", "35000"}}));
  EXPECT_DOUBLE_EQ(s.learning_rate(0), 0);
  EXPECT_DOUBLE_EQ(s.learning_rate(35), 5e-4 * 35 / 175);
  EXPECT_DOUBLE_EQ(s.learning_rate(175), 5e-4);
  EXPECT_NEAR(s.learning_rate(17675), 2.5e-4, 1e-12);
  EXPECT_NEAR(s.learning_rate(34999), 5e-4 * (1 + std::cos(kPi * 34824 / 35000)) / 2, 1e-12);
}

// lra.md 6.2.
TEST(Schedule, OneCycleWithItsMomentum) {
  const Schedule s(train_with({{"schedule", "one_cycle"},
                               {"learning_rate", "1e-4"},
                               {"warmup", "1000"},
                               {"steps", "5000"},
                               {"beta1_cycle", "true"}}));
  EXPECT_DOUBLE_EQ(s.learning_rate(0), 4e-6);
  EXPECT_DOUBLE_EQ(s.learning_rate(999), 1e-4);
  EXPECT_NEAR(s.learning_rate(2999), (1e-4 + 4e-10) / 2, 1e-12);
  EXPECT_NEAR(s.learning_rate(4999), 4e-10, 1e-18);
  EXPECT_DOUBLE_EQ(s.beta1(0), 0.95);
  EXPECT_DOUBLE_EQ(s.beta1(999), 0.85);
  EXPECT_NEAR(s.beta1(2999), 0.9, 1e-12);
  EXPECT_DOUBLE_EQ(s.beta1(4999), 0.95);
}

TEST(Schedule, WithoutWarmupStartsAtItsBase) {
  for (const char* name : {"constant", "linear", "one_cycle"}) {
    const Schedule s(train_with({{"schedule", name}, {"learning_rate", "1"}, {"warmup", "0"}}));
    EXPECT_DOUBLE_EQ(s.learning_rate(0), 1) << name;
  }
}

TEST(Schedule, BetaCycleNeedsOneCycle) {
  EXPECT_THROW(Schedule(train_with({{"beta1_cycle", "true"}})), Error);
}

class OptimizerTest : public ::testing::Test {
 protected:
  OptimizerTest() {
    const std::vector<ParameterSpec> specs{
        {.name = "a", .rows = 130, .cols = 70},
        {.name = "frozen", .rows = 3, .cols = 1, .trainable = false}};
    layout_.add(specs, "", "");
  }

  std::vector<float> filled(std::uint64_t seed, float scale) const {
    std::vector<float> values(static_cast<std::size_t>(layout_.size()));
    fill_normal(RandomKey(seed), scale, View(values.data(), 1, layout_.size()));
    return values;
  }

  ParameterLayout layout_;
};

// Kingma and Ba 2015, algorithm 1, with Loshchilov and Hutter's decay and l2 in the loss, in
// double.
TEST_F(OptimizerTest, EqualsTheFormulaInDouble) {
  const Options train = train_with({{"schedule", "constant"},
                                    {"warmup", "0"},
                                    {"learning_rate", "0.01"},
                                    {"weight_decay", "0.1"},
                                    {"l2", "0.05"},
                                    {"beta2", "0.98"},
                                    {"epsilon", "1e-6"}});
  Optimizer optimizer(layout_, train);
  Workers workers(2);
  std::vector<float> weights = filled(1, 1);
  std::vector<double> p(weights.begin(), weights.end()), m(p.size(), 0), v(p.size(), 0);
  const std::vector<float> start = weights;
  for (Index step = 0; step < 5; ++step) {
    std::vector<float> grads = filled(10 + static_cast<std::uint64_t>(step), 0.1F);
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double g = static_cast<double>(grads[i]) + 0.05 * p[i];
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.98 * v[i] + 0.02 * g * g;
      const double m_hat = m[i] / (1 - std::pow(0.9, step + 1));
      const double v_hat = v[i] / (1 - std::pow(0.98, step + 1));
      p[i] -= 0.01 * 0.1 * p[i];
      p[i] -= 0.01 * m_hat / (std::sqrt(v_hat) + 1e-6);
    }
    optimizer.update(workers.team(), step, weights, grads);
  }
  const Slice& frozen = layout_.entries()[1].slice;
  for (std::size_t i = 0; i < 130 * 70; ++i) EXPECT_NEAR(weights[i], p[i], 1e-5);
  for (auto i = static_cast<std::size_t>(frozen.offset); i < weights.size(); ++i) {
    EXPECT_EQ(weights[i], start[i]);
  }
}

TEST_F(OptimizerTest, ClipsTheNormOfTrainableGradientsOnly) {
  Workers workers(1);
  const OptionTexts common{{"schedule", "constant"}, {"warmup", "0"}, {"beta1", "0"}};
  OptionTexts clipped = common;
  clipped["clip"] = "0.5";
  Optimizer optimizer(layout_, train_with(clipped));
  std::vector<float> weights = filled(1, 1), grads = filled(2, 1);
  const auto norm = [&](const std::vector<float>& values) {
    return Eigen::Map<const Eigen::VectorXf>(values.data(), 130 * 70).cast<double>().norm();
  };
  EXPECT_GT(norm(grads), 90);
  optimizer.update(workers.team(), 0, weights, grads);
  EXPECT_NEAR(norm(grads), 0.5, 1e-4);
  std::vector<float> small(grads.size(), 1e-3F);
  const std::vector<float> kept = small;
  optimizer.update(workers.team(), 1, weights, small);
  EXPECT_EQ(small, kept);
}

TEST_F(OptimizerTest, GivesTheSameBitsOnAnyTeam) {
  std::vector<std::vector<float>> results;
  for (const Index threads : {1, 2, 3}) {
    Workers workers(threads);
    Optimizer optimizer(layout_, train_with({{"clip", "0.1"}}));
    std::vector<float> weights = filled(1, 1);
    for (Index step = 0; step < 3; ++step) {
      std::vector<float> grads = filled(2, 1);
      optimizer.update(workers.team(), step, weights, grads);
    }
    results.push_back(weights);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

}  // namespace
}  // namespace arena
