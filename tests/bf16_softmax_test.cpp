// Softmax attention on bfloat16 operands: against double loops on the rounded inputs, within what
// rounding the weights may add, element by element; and its refusal where the instructions lack.

#include "variants/engine/bf16_softmax.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "harness/conformance/conformance.hpp"
#include "variants/engine/bf16_kernel.hpp"

namespace arena {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Of float sums, beside what rounding to bfloat16 adds.
constexpr double kFloatTolerance = 2e-5;

/// Set in the life of the object: the machine seems to lack the instructions.
struct Hidden {
  Hidden() { setenv("ARENA_HIDE_BF16", "1", 1); }
  ~Hidden() { unsetenv("ARENA_HIDE_BF16"); }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;
};

struct Case {
  Extents extents;
  Index head_dim;
  Index before, after;  // keys that a query sees around its position
  float logits = 1;     // factor on query
};

/// Column slice of random numbers, between columns of NaN.
struct Slice3 {
  Slice3(Index rows, Index cols, std::uint64_t seed)
      : storage(Matrix::Constant(rows, cols + 3, kNaN)) {
    Matrix values(rows, cols);
    fill_normal(RandomKey(seed), 1, values);
    view() = values;
  }
  View view() { return View(storage).column_slice(1, storage.cols() - 3); }
  MatrixD rounded() {
    return view().unaryExpr([](float x) { return bf16::rounded(x); }).cast<double>();
  }
  Matrix storage;
};

struct Example {
  explicit Example(const Case& c)
      : query(c.extents.query_len, c.head_dim, 1),
        key(c.extents.key_len, c.head_dim, 2),
        value(c.extents.key_len, c.head_dim, 3),
        d_out(c.extents.query_len, c.head_dim, 4),
        d_log_sum_exp(c.extents.query_len, 1, 5) {
    query.view() *= c.logits;
  }
  Slice3 query, key, value, d_out, d_log_sum_exp;
};

struct Results {
  MatrixD out, log_sum_exp, d_query, d_key, d_value;
};

Results by_engine(const Case& c, Example& example, Index threads) {
  const auto [n, m] = c.extents;
  Workers workers(threads);
  const BandMask mask(c.extents, c.before, c.after);
  const HeadInputs in{example.query.view(), example.key.view(), example.value.view()};
  Matrix out(n, c.head_dim), log_sum_exp(n, 1), statistics(2, n);
  Matrix d_query(n, c.head_dim), d_key(m, c.head_dim), d_value(m, c.head_dim);
  const float scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  bf16_softmax_forward(workers.team(), in, scale, mask, {out, log_sum_exp}, statistics);
  bf16_softmax_backward(workers.team(), in, scale, mask,
                        {.out = example.d_out.view(),
                         .log_sum_exp = example.d_log_sum_exp.view(),
                         .forward_out = out},
                        statistics, {d_query, d_key, d_value});
  return {out.cast<double>(), log_sum_exp.cast<double>(), d_query.cast<double>(),
          d_key.cast<double>(), d_value.cast<double>()};
}

/// What must come out for the rounded inputs, and by how much rounding the weights p may move it.
/// out moves by at most r = kRounding times sum p |value|. Backward takes <d_out, out> from it, so
/// d_s moves by at most p times <|d_out|, that>.
struct Expected {
  Results results, bounds;
};

Expected by_double_loop(const Case& c, Example& example) {
  const MatrixD q = example.query.rounded(), k = example.key.rounded(), v = example.value.rounded(),
                g = example.d_out.view().cast<double>();
  const auto [n, m] = c.extents;
  const BandMask mask(c.extents, c.before, c.after);
  const double scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  const MatrixD scores = scale * q * k.transpose();
  MatrixD p = MatrixD::Zero(n, m), log_sum_exp = MatrixD::Constant(n, 1, -kInfinity);
  for (Index i = 0; i < n; ++i) {
    double largest = -kInfinity, sum = 0;
    for (Index j = 0; j < m; ++j) {
      if (mask.sees(i, j)) largest = std::max(largest, scores(i, j));
    }
    for (Index j = 0; j < m; ++j) {
      if (mask.sees(i, j)) sum += p(i, j) = std::exp(scores(i, j) - largest);
    }
    if (sum == 0) continue;
    p.row(i) /= sum;
    log_sum_exp(i, 0) = largest + std::log(sum);
  }
  const MatrixD out = p * v, spread = bf16::kRounding * p * v.cwiseAbs();
  const MatrixD shift =
      g.cwiseProduct(out).rowwise().sum() - example.d_log_sum_exp.view().cast<double>();
  MatrixD d_scores = g * v.transpose();
  d_scores.colwise() -= shift.col(0);
  d_scores = scale * p.cwiseProduct(d_scores);
  const MatrixD moved = g.cwiseAbs().cwiseProduct(spread).rowwise().sum();
  const MatrixD d_spread = scale * moved.col(0).asDiagonal() * p;
  return {{out, log_sum_exp, d_scores * k, d_scores.transpose() * q, p.transpose() * g},
          {spread, MatrixD::Zero(n, 1), d_spread * k.cwiseAbs(),
           d_spread.transpose() * q.cwiseAbs(), MatrixD::Zero(m, c.head_dim)}};
}

void expect_within(const MatrixD& got, const MatrixD& want, const MatrixD& bound, double logits,
                   const char* what) {
  ASSERT_EQ(got.rows(), want.rows());
  const double size = std::max(1.0, want.array().isFinite().select(want, 0).cwiseAbs().maxCoeff());
  for (Index i = 0; i < want.rows(); ++i) {
    for (Index j = 0; j < want.cols(); ++j) {
      if (got(i, j) == want(i, j)) continue;  // infinities
      ASSERT_NEAR(got(i, j), want(i, j), bound(i, j) + kFloatTolerance * size * logits)
          << what << " at " << i << ", " << j;
    }
  }
}

class Bf16Softmax : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!bf16::missing().empty()) GTEST_SKIP() << "needs " << bf16::missing();
  }
};

TEST_P(Bf16Softmax, EqualsDoubleLoopOnRoundedInputs) {
  const Case c = GetParam();
  Example example(c);
  const auto [want, bounds] = by_double_loop(c, example);
  const Results got = by_engine(c, example, 1);
  const double logits = c.logits;
  expect_within(got.out, want.out, bounds.out, logits, "out");
  expect_within(got.log_sum_exp, want.log_sum_exp, bounds.log_sum_exp, logits, "log_sum_exp");
  expect_within(got.d_query, want.d_query, bounds.d_query, logits, "d_query");
  expect_within(got.d_key, want.d_key, bounds.d_key, logits, "d_key");
  expect_within(got.d_value, want.d_value, bounds.d_value, logits, "d_value");
  for (const Index threads : {2, 3}) {
    const Results again = by_engine(c, example, threads);
    EXPECT_EQ(got.out, again.out);
    EXPECT_EQ(got.d_query, again.d_query);
    EXPECT_EQ(got.d_key, again.d_key);
  }
}

std::vector<Case> cases() {
  constexpr Index kAll = 10000;
  std::vector<Case> result;
  for (const auto& [before, after] :
       std::initializer_list<Range>{{kAll, kAll}, {kAll, 0}, {5, 5}, {150, 0}}) {
    for (const Index n : {1, 2, 7, 31, 33, 100, 129, 300}) {
      result.push_back({{n, n}, 16, before, after});
    }
    for (const Index head_dim : {1, 2, 3, 5, 13, 24, 31, 40, 64, 100, 129}) {
      result.push_back({{70, 71}, head_dim, before, after});
    }
    result.push_back({{5, 340}, 12, before, after});
    result.push_back({{140, 5}, 12, before, after});  // causal: rows without a key
    result.push_back({{1, 277}, 64, before, after});
    result.push_back({{400, 390}, 64, before, after});
    result.push_back({{90, 90}, 16, before, after, 30.0F});
  }
  return result;
}

INSTANTIATE_TEST_SUITE_P(Shapes, Bf16Softmax, testing::ValuesIn(cases()),
                         [](const auto& shape) { return fmt::format("case{}", shape.index); });

TEST_P(Bf16Softmax, ScratchIsWhatTheFormulasSay) {
  const auto [n, m] = GetParam().extents;
  const Index head_dim = GetParam().head_dim;
  Example example(GetParam());
  const BandMask mask(GetParam().extents, GetParam().before, GetParam().after);
  const HeadInputs in{example.query.view(), example.key.view(), example.value.view()};
  Matrix out(n, head_dim), statistics(2, n), d_query(n, head_dim), d_key(m, head_dim),
      d_value(m, head_dim);
  for (const Index threads : {1, 3}) {
    Workers workers(threads);
    bf16_softmax_forward(workers.team(), in, 1, mask, {out}, statistics);
    const Index forward = bf16_softmax_forward_scratch({n, m}, head_dim, threads).total;
    EXPECT_LE(workers.high_water(), forward);
    EXPECT_TRUE(threads > 1 || workers.high_water() == forward);
    workers.reset_high_water();
    bf16_softmax_backward(workers.team(), in, 1, mask,
                          {.out = example.d_out.view(), .forward_out = out}, statistics,
                          {d_query, d_key, d_value});
    const Index reach = softmax_chunk_reach(mask, {n, m});
    EXPECT_LE(workers.high_water(),
              bf16_softmax_backward_scratch({n, m}, head_dim, reach, threads).total);
  }
}

TEST(Bf16Rounding, IsToNearestTiesToEven) {
  EXPECT_EQ(bf16::rounded(1.0F), 1.0F);
  EXPECT_EQ(bf16::rounded(1 + 0x1p-8F), 1.0F);             // half a unit, even below
  EXPECT_EQ(bf16::rounded(1 + 3 * 0x1p-8F), 1 + 0x1p-6F);  // half a unit, even above
  EXPECT_EQ(bf16::rounded(1 + 0x1.01p-8F), 1 + 0x1p-7F);   // more than half
  EXPECT_EQ(bf16::rounded(-1 - 0x1.FFp-9F), -1.0F);        // less than half
  EXPECT_EQ(bf16::rounded(3e38F), 0x1.C4p127F);
  EXPECT_EQ(bf16::rounded(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(bf16::rounded(kNaN)));
  EXPECT_EQ(bf16::rounded(1e-40F), 0.0F);
  for (const float x : {0.1F, 3.14159F, -7e-9F, 1e30F}) {
    EXPECT_LE(std::abs(bf16::rounded(x) - x), bf16::kRounding * std::abs(x));
  }
}

TEST(Bf16Rounding, IsThatOfThePackedPairs) {
  if (!bf16::missing().empty()) GTEST_SKIP() << "needs " << bf16::missing();
  Matrix x(1, 333);
  fill_normal(RandomKey(7), 1, x);
  x.leftCols(5) << 0.0F, 1 + 0x1p-8F, 1 + 3 * 0x1p-8F, 1e-40F, -kInfinity;
  std::vector<bf16::Pair> packed(static_cast<std::size_t>(bf16::pair_width(x.cols())));
  bf16::pack_rows({x.data(), x.cols(), 1, x.cols()}, packed.data());
  for (Index i = 0; i < x.cols(); ++i) {
    const bf16::Pair pair = packed[static_cast<std::size_t>(i / 2)];
    const bf16::Pair bits = i % 2 == 0 ? pair << 16 : pair & 0xFFFF0000U;
    EXPECT_EQ(std::bit_cast<float>(bits), bf16::rounded(x(0, i))) << x(0, i);
  }
}

TEST(Bf16Refusal, IsOneLineThatNamesWhatLacks) {
  const Hidden hidden;
  const ChosenVariant chosen = choose_variant("blocked[precision=bfloat16]");
  EXPECT_EQ(chosen.variant.arithmetic_of(chosen.options).precision, "bfloat16");
  try {
    make_head(chosen.variant, {}, chosen.options);
    FAIL() << "made without the instructions";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), Failure::kUnsupported);
    EXPECT_STREQ(error.what(),
                 "blocked: precision=bfloat16 needs a processor with AVX512_BF16 (hidden by "
                 "ARENA_HIDE_BF16)");
  }
}

TEST(Bf16Refusal, LeavesFloatAloneAndSkipsChecks) {
  const Hidden hidden;
  const ChosenVariant plain = choose_variant("blocked");
  EXPECT_NE(make_head(plain.variant, {}, plain.options), nullptr);
  EXPECT_TRUE(run_check(find_check("options"), plain).passed);
  const CheckResult result =
      run_check(find_check("oracle"), choose_variant("blocked[precision=bfloat16]"));
  EXPECT_TRUE(result.skipped);
  EXPECT_FALSE(result.passed);
}

}  // namespace
}  // namespace arena
