// The judge is judged: the oracle against small sums by hand and its own differences, the suite's
// tools against known faults.

#include "harness/conformance/conformance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>

#include "harness/conformance/allocation_counter.hpp"
#include "harness/conformance/cases.hpp"
#include "harness/conformance/kernel_scope.hpp"
#include "harness/model/heads.hpp"

namespace arena {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

MatrixD normal(Index rows, Index cols, std::uint64_t seed) {
  Matrix matrix(rows, cols);
  fill_normal(RandomKey(seed).fold(Purpose::kTest), 1, matrix);
  return matrix.cast<double>();
}

OracleInputs random_inputs(Index query_len, Index key_len, Index head_dim) {
  return {normal(query_len, head_dim, 1), normal(key_len, head_dim, 2),
          normal(key_len, head_dim, 3)};
}

TEST(Oracle, EqualsTwoKeysByHand) {
  OracleInputs in{MatrixD::Constant(1, 1, 2.0), MatrixD(2, 1), MatrixD(2, 1)};
  in.key << 0.5, -0.25;
  in.value << 10, 20;
  const OracleOutputs outputs = softmax_attention(in, {});
  const double a = std::exp(1.0);
  const double b = std::exp(-0.5);
  EXPECT_NEAR(outputs.out(0, 0), (10 * a + 20 * b) / (a + b), 1e-12);
  EXPECT_NEAR(outputs.log_sum_exp(0, 0), std::log(a + b), 1e-12);
}

TEST(Oracle, ScalesByTheRootOfHeadDim) {
  const OracleInputs in{MatrixD::Constant(1, 4, 1.0), MatrixD::Constant(1, 4, 1.0),
                        MatrixD::Constant(1, 4, 7.0)};
  EXPECT_NEAR(softmax_attention(in, {}).log_sum_exp(0, 0), 4 / std::sqrt(4.0), 1e-12);
}

TEST(Oracle, ARowWithoutKeysGivesZeros) {
  const OracleInputs in = random_inputs(5, 3, 4);
  const OracleOutputs outputs = softmax_attention(in, {.causal = true});
  EXPECT_TRUE(outputs.out.topRows(2).isZero(0));
  EXPECT_EQ(outputs.log_sum_exp(1, 0), -kInfinity);
  EXPECT_NEAR((outputs.out.row(2) - in.value.row(0)).norm(), 0, 1e-12);
}

TEST(Oracle, CausalEqualsItsExplicitEdges) {
  const OracleInputs in = random_inputs(6, 9, 5);
  const Edges edges = edges_where(6, 9, [](Index i, Index j) { return j <= i + 3; });
  EXPECT_EQ(softmax_attention(in, {.causal = true}).out,
            softmax_attention(in, {.edges = &edges}).out);
  EXPECT_EQ(count_pairs({.causal = true}, in.extents()), edges.count());
}

TEST(Oracle, GivesTheRowsAskedFor) {
  const OracleInputs in = random_inputs(8, 8, 5);
  const std::vector<Index> rows{6, 0, 3};
  const MatrixD all = softmax_attention(in, {}).out;
  const MatrixD some = softmax_attention(in, {}, rows).out;
  ASSERT_EQ(some.rows(), 3);
  for (Index r = 0; r < 3; ++r) EXPECT_EQ(some.row(r), all.row(rows[static_cast<std::size_t>(r)]));
}

TEST(Oracle, BackwardIsItsDifferenceQuotient) {
  const Edges edges = edges_where(7, 9, [](Index i, Index j) { return (i + j) % 3 > 0; });
  const MatrixD d_out = normal(7, 5, 4);
  const MatrixD d_log_sum_exp = normal(7, 1, 5);
  const OracleInputs in = random_inputs(7, 9, 5);
  const auto loss = [&](const OracleInputs& at) {
    const OracleOutputs outputs = softmax_attention(at, {.edges = &edges});
    return outputs.out.cwiseProduct(d_out).sum() +
           outputs.log_sum_exp.cwiseProduct(d_log_sum_exp).sum();
  };
  const OracleGrads grads = softmax_attention_backward(in, {.edges = &edges}, d_out, d_log_sum_exp);
  constexpr double kStep = 1e-5;
  for (const auto& [member, grad] :
       {std::pair{&OracleInputs::query, &grads.query}, std::pair{&OracleInputs::key, &grads.key},
        std::pair{&OracleInputs::value, &grads.value}}) {
    for (Index e = 0; e < grad->size(); ++e) {
      OracleInputs plus = in;
      OracleInputs minus = in;
      (plus.*member).data()[e] += kStep;
      (minus.*member).data()[e] -= kStep;
      EXPECT_NEAR(grad->data()[e], (loss(plus) - loss(minus)) / (2 * kStep), 1e-8);
    }
  }
}

TEST(MaxError, IsRelativeToTheLargest) {
  MatrixD expected(1, 3);
  expected << 4, -1, -kInfinity;
  MatrixD actual = expected;
  EXPECT_EQ(max_error(actual, expected), 0);
  actual(0, 1) = -1.5;
  EXPECT_DOUBLE_EQ(max_error(actual, expected), 0.125);
  actual(0, 2) = 0;
  EXPECT_EQ(max_error(actual, expected), kInfinity);
  actual(0, 2) = std::nan("");
  EXPECT_EQ(max_error(actual, expected), kInfinity);
}

TEST(AllocationCounter, CountsMallocAndNew) {
  if (!allocations_are_counted) GTEST_SKIP() << "not under a sanitizer";
  const std::int64_t before = allocation_count;
  const auto memory = std::make_unique<std::vector<double>>(1000);
  Matrix matrix(100, 100);
  EXPECT_EQ(allocation_count - before, 3);
  EXPECT_NE(memory->data(), nullptr);
  EXPECT_NE(matrix.data(), nullptr);
}

TEST(GuardedMatrix, SeesOneFloatBesideIt) {
  GuardedMatrix matrix(3, 4, 2, -1.0F);
  matrix.view().setZero();
  EXPECT_TRUE(matrix.untouched());
  View view = matrix.view();
  view.data()[-1] = 0;
  EXPECT_FALSE(matrix.untouched());
}

/// A variant that claims nothing it could be held against.
TEST(Checks, AVariantWithoutAnOracleFails) {
  Variant variant = Registry<Variant>::find("dense");
  variant.claims.exact.clear();
  const CheckResult result = run_check(find_check("claims"), {variant, {}});
  EXPECT_FALSE(result.passed || result.skipped);
}

/// Its values with noise of mean 0 from the call's key: out = value + normal.
class Noisy final : public AttentionHead {
 public:
  Footprint footprint(const Extents&, const Call&) const override { return {}; }
  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs, Frame*,
               const Extras&) const override {
    fill_normal(call.key, 1, outputs.out);
    outputs.out += in.value;
  }
  void backward(const Call&, const HeadInputs&, const Weights&, const HeadOutputGrads&,
                const Frame&, HeadGrads, Slices) const override {}
};

CheckResult check_noisy(double bias) {
  Variant variant;
  variant.name = "noisy";
  variant.make_head = [](const Setup&, const Options&) { return std::make_unique<Noisy>(); };
  variant.claims.estimators.push_back(
      {.name = "values",
       .expectation = [bias](const Problem&, const Call&, const HeadInputs& in, const Weights&) {
         return MatrixD(in.value.cast<double>().array() + bias);
       }});
  return run_check(find_check("estimators"), {variant, {}});
}

TEST(Checks, AnEstimatorIsHeldToItsExpectation) {
  EXPECT_TRUE(check_noisy(0).passed) << check_noisy(0).detail;
  EXPECT_FALSE(check_noisy(0.1).passed) << "2000 draws of deviation 1 cannot hide a bias of 0.1";
}

/// Takes a state, but forgets what is in it.
class Forgets final : public AttentionHead {
 public:
  explicit Forgets(std::unique_ptr<AttentionHead> inner) : inner_(std::move(inner)) {}
  Footprint footprint(const Extents& extents, const Call& call) const override {
    return inner_->footprint(extents, call);
  }
  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras& extras) const override {
    Call fresh = call;
    fresh.state = nullptr;
    inner_->forward(fresh, in, weights, outputs, frame, extras);
    if (extras.state && call.state) extras.state->position += call.state->position;
  }
  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    inner_->backward(call, in, weights, d_outputs, frame, d_in, grads);
  }

 private:
  std::unique_ptr<AttentionHead> inner_;
};

Variant forgetting(const Variant& variant) {
  Variant result = variant;
  result.make_head = [make = variant.make_head](const Setup& setup, const Options& options) {
    return std::make_unique<Forgets>(make(setup, options));
  };
  return result;
}

TEST(Checks, AStreamIsHeldToOneCall) {
  const Variant& linear = Registry<Variant>::find("linear");
  EXPECT_TRUE(run_check(find_check("stream"), {linear, {}}).passed);
  const CheckResult result = run_check(find_check("stream"), {forgetting(linear), {}});
  EXPECT_FALSE(result.passed || result.skipped);
  EXPECT_TRUE(result.detail.starts_with("out of ")) << result.detail;  // before any gradient
}

TEST(Checks, AnUnknownCheckIsAnError) {
  EXPECT_THROW(find_check("orcale"), Error);
}

TEST(Heads, RefuseAnEmptySequence) {
  Workers workers(1);
  KernelScope scope(choose_variant("dense"), {.head_dim = 8, .max_len = 8}, {0, 0}, RandomKey(1));
  EXPECT_THROW(scope.forward(check_call(workers.team())), Error);
  EXPECT_THROW(scope.train(check_call(workers.team())), Error);
}

}  // namespace
}  // namespace arena
