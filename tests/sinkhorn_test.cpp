// Sinkhorn's normalisation, and the variant beyond what the suite's usual settings reach: small
// blocks, more of them than stand in memory together, and the noise of training.

#include <gtest/gtest.h>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/conformance.hpp"
#include "tests/broken_variants.hpp"
#include "variants/engine/sinkhorn_balance.hpp"

namespace arena {
namespace {

/// Largest distance of a column's or row's sum from 1 after some rounds.
float imbalance(Index size, Index rounds) {
  const SinkhornBalance balance(size, rounds, false);
  Matrix r(size, balance.width());
  fill_normal(RandomKey(1), 2, r);
  balance.hide(r);
  balance.run(r, View());
  const Matrix weights = (r * std::log(2.0F)).array().exp();
  return std::max((weights.rowwise().sum().array() - 1).abs().maxCoeff(),
                  (weights.leftCols(size).colwise().sum().array() - 1).abs().maxCoeff());
}

TEST(SinkhornBalance, MoreRoundsComeNearerToDoublyStochastic) {
  for (const Index size : {2, 5, 17, 40}) {
    float before = imbalance(size, 1);
    for (const Index rounds : {4, 16, 64}) {
      const float now = imbalance(size, rounds);
      EXPECT_LE(now, std::max(before, 2e-6F)) << size << " blocks, " << rounds << " rounds";
      before = now;
    }
    EXPECT_LT(before, 1e-3F) << size;
  }
}

TEST(Sinkhorn, HoldsWithManySmallBlocks) {
  for (const char* const check : {"oracle_gradients", "causal", "threads", "analytic_bytes"}) {
    const CheckResult result = run_check(find_check(check), choose_variant("sinkhorn[block=8]"));
    EXPECT_TRUE(result.passed) << check << ": " << result.detail;
  }
}

TEST(Sinkhorn, HoldsWithMoreBlocksThanAreMixedAtOnce) {
  BenchShape shape = small_shape(Pass::kTrain);
  shape.length = 605;  // 152 blocks, the last of a single row
  shape.head_dim = 33;
  for (const bool causal : {false, true}) {
    shape.causal = causal;
    const Record record = run_one(shape, "sinkhorn[block=4]");
    EXPECT_EQ(record.status, "OK") << causal << ": " << record.error;
  }
}

TEST(SortCut, HoldsWithManySmallBlocksAndWithFewerThanItKeeps) {
  for (const char* const variant : {"sortcut[block=8,cut=3]", "sortcut[block=7,cut=100]"}) {
    for (const char* const check : {"oracle_gradients", "threads", "analytic_bytes", "flops"}) {
      const CheckResult result = run_check(find_check(check), choose_variant(variant));
      EXPECT_TRUE(result.passed) << variant << " " << check << ": " << result.detail;
    }
  }
}

TEST(Sinkhorn, HoldsWithoutRounds) {
  const ChosenVariant chosen = choose_variant("sinkhorn[block=7,iterations=0]");
  const CheckResult result = run_check(find_check("oracle"), chosen);
  EXPECT_TRUE(result.passed) << result.detail;
}

/// What training draws is in the formula as well, and nothing is drawn elsewhere.
void expect_noise_of_reference(const std::string& name, std::initializer_list<bool> causal_modes) {
  const ChosenVariant chosen = choose_variant(name);
  Workers workers(1);
  for (const bool causal : causal_modes) {
    const HeadCase head_case(chosen, {.extents = {60, 60}, .causal = causal});
    const auto out = [&](bool training, std::uint64_t seed) {
      Call call = check_call(workers.team());
      call.training = training;
      call.key = RandomKey(seed);
      const Outcome outcome = run(head_case.subject, head_case.example, call, {.frame = false});
      const MatrixD expected = oracle_out(chosen.variant, head_case.problem, call,
                                          head_case.inputs(), head_case.example.weights());
      EXPECT_LT(max_error(outcome.outputs[0].view(), expected), 1e-5) << name << training << causal;
      return Matrix(outcome.outputs[0].view());
    };
    EXPECT_EQ(out(false, 1), out(false, 2));
    EXPECT_NE(out(true, 1), out(true, 2));
    EXPECT_EQ(out(true, 1), out(true, 1));
  }
}

TEST(Sinkhorn, NoiseOfTrainingIsThatOfTheReference) {
  expect_noise_of_reference("sinkhorn[block=8]", {false, true});
}

TEST(SortCut, NoiseOfTrainingIsThatOfTheReference) {
  expect_noise_of_reference("sortcut[block=8]", {false});
}

}  // namespace
}  // namespace arena
