#include "results/hypothesis.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/expect_error.hpp"

namespace arena {
namespace {

using Values = std::vector<double>;

/// Permeability of membranes at term and earlier: Hollander and Wolfe (1973), page 69; the example
/// of R's wilcox.test, which gives W = 35 and p = 0.1272 for one side.
TEST(MannWhitney, IsExactForFewValues) {
  const Values at_term{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46};
  const Values earlier{1.15, 0.88, 0.90, 0.74, 1.21};
  const RankTest test = mann_whitney(at_term, earlier);
  EXPECT_EQ(test.u, 35);
  EXPECT_TRUE(test.exact);
  EXPECT_NEAR(test.p, 0.2544122544122544, 1e-15);
  const RankTest other = mann_whitney(earlier, at_term);
  EXPECT_EQ(other.u, 50 - 35);
  EXPECT_DOUBLE_EQ(other.p, test.p);
}

/// Nine before nine others: 2 of the 48620 ways to choose nine of eighteen.
TEST(MannWhitney, OfSamplesThatDoNotOverlap) {
  Values low(9), high(9);
  std::iota(low.begin(), low.end(), 0);
  std::iota(high.begin(), high.end(), 10);
  EXPECT_DOUBLE_EQ(mann_whitney(low, high).p, 2.0 / 48620);
  EXPECT_EQ(mann_whitney(low, high).u, 0);
}

/// Computed with SciPy 1.17: mannwhitneyu(method='asymptotic').
TEST(MannWhitney, CorrectsForTies) {
  const RankTest test =
      mann_whitney(Values{1, 2, 2, 3, 3, 3, 4, 5, 9}, Values{2, 3, 4, 4, 5, 6, 6, 7, 8, 9});
  EXPECT_EQ(test.u, 22.5);
  EXPECT_FALSE(test.exact);
  EXPECT_NEAR(test.p, 0.06982111450853058, 1e-14);
  EXPECT_EQ(mann_whitney(Values{3, 3}, Values{3, 3, 3}).p, 1);
}

/// Without a difference a p below 5 % comes in at most 5 % of cases, and not in far fewer.
TEST(MannWhitney, RaisesAsManyFalseAlarmsAsItSays) {
  constexpr int kTrials = 2000;
  RandomStream random(RandomKey(7));
  int alarms = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Values a(9), b(9);
    for (double& value : a) value = random.normal();
    for (double& value : b) value = random.normal();
    alarms += mann_whitney(a, b).p < 0.05 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(alarms) / kTrials, 0.04, 0.013);  // three standard errors
}

/// Days that mice lived with and without a treatment: Efron and Tibshirani (1993), table 2.1. Of
/// all 11440 ways, 3184 are as extreme, counted one by one with exact fractions in Python.
TEST(Permutation, LooksAtEveryWayToDeal) {
  const Values treated{94, 197, 16, 38, 99, 141, 23};
  const Values control{52, 104, 146, 10, 51, 30, 40, 27, 46};
  EXPECT_DOUBLE_EQ(permutation_test(treated, control, RandomKey(1)), 3184.0 / 11440);
  EXPECT_DOUBLE_EQ(permutation_test(control, treated, RandomKey(2)), 3184.0 / 11440);
  EXPECT_EQ(permutation_test(Values{0.1, 0.2}, Values{0.2, 0.1}, RandomKey(1)), 1);
}

/// With too many ways it draws some: near the p of the t test, which for normal values is the same.
TEST(Permutation, DrawsWhereThereAreTooMany) {
  RandomStream random(RandomKey(3));
  Values a(30), b(30);
  for (double& value : a) value = random.normal();
  for (double& value : b) value = random.normal() + 0.6;
  const double p = permutation_test(a, b, RandomKey(4));
  EXPECT_EQ(permutation_test(a, b, RandomKey(4)), p);
  EXPECT_NEAR(permutation_test(a, b, RandomKey(5)), p, 0.005);
  Values far = b;
  for (double& value : far) value += 100;
  EXPECT_DOUBLE_EQ(permutation_test(a, far, RandomKey(4)), 1.0 / 100001);
}

/// Darwin's maize, crossed against self-fertilised, in eighths of an inch: Fisher, The Design of
/// Experiments (1935), section 21: 863 of 32768 sums are at least as large as that found, 314.
TEST(SignFlip, LooksAtEveryChoiceOfSigns) {
  const Values differences{49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48};
  EXPECT_DOUBLE_EQ(sign_flip_test(differences, RandomKey(1)), 2 * 863.0 / 32768);
  EXPECT_EQ(sign_flip_test(Values{0, 0, 0}, RandomKey(1)), 1);
  EXPECT_EQ(sign_flip_test(Values{1, 1, 1, 1, 1}, RandomKey(1)), 2.0 / 32);
}

TEST(SignFlip, DrawsWhereThereAreTooMany) {
  Values differences;
  for (int i = 0; i < 60; ++i) differences.push_back(i % 3 == 0 ? -1 : 1);
  // Binomial: 2 P(at least 40 of 60 heads) = 0.01349
  EXPECT_NEAR(sign_flip_test(differences, RandomKey(1)), 0.01349, 0.0011);
}

/// By hand, as R's p.adjust(method = "holm"): 4 x 0.005, 3 x 0.01, 2 x 0.03, and then 0.04, which
/// may not be less.
TEST(Holm, StepsDown) {
  const Values corrected = holm(Values{0.01, 0.04, 0.03, 0.005});
  EXPECT_DOUBLE_EQ(corrected[0], 0.03);
  EXPECT_DOUBLE_EQ(corrected[1], 0.06);
  EXPECT_DOUBLE_EQ(corrected[2], 0.06);
  EXPECT_DOUBLE_EQ(corrected[3], 0.02);
  EXPECT_EQ(holm(Values{0.5, 0.6}), (Values{1, 1}));
  EXPECT_TRUE(holm({}).empty());
}

TEST(Hypothesis, RefusesWhatHasNoAnswer) {
  EXPECT_ERROR(mann_whitney({}, Values{1}), "0 and 1 values");
  EXPECT_ERROR(permutation_test(Values{1}, {}, RandomKey(1)), "1 and 0 values");
  EXPECT_ERROR(sign_flip_test({}, RandomKey(1)), "no differences");
}

}  // namespace
}  // namespace arena
