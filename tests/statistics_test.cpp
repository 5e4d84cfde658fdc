#include "results/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "harness/core/random.hpp"
#include "tests/expect_error.hpp"

namespace arena {
namespace {

const std::vector<double> kValues{2, 4, 4, 4, 5, 5, 7, 9};
const std::vector<double> kPair{1, 2};

TEST(Statistics, MeanAndDeviationOfASample) {
  EXPECT_DOUBLE_EQ(mean(kValues), 5);
  EXPECT_DOUBLE_EQ(sample_deviation(kValues), 2.1380899352993952);  // sqrt(32 / 7)
  EXPECT_EQ(sample_deviation(std::vector<double>{3}), 0);
}

TEST(Statistics, OrderStatistics) {
  EXPECT_DOUBLE_EQ(median(kValues), 4.5);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{9, 1, 5}), 5);
  EXPECT_DOUBLE_EQ(quantile(kValues, 0), 2);
  EXPECT_DOUBLE_EQ(quantile(kValues, 1), 9);
  EXPECT_DOUBLE_EQ(quantile(std::vector<double>{0, 10}, 0.25), 2.5);
  EXPECT_DOUBLE_EQ(median_absolute_deviation(std::vector<double>{1, 1, 2, 2, 4, 6, 9}), 1);
}

TEST(Statistics, StandardErrorOfAShare) {
  EXPECT_DOUBLE_EQ(binomial_standard_error(0.5, 100), 0.05);
  EXPECT_EQ(binomial_standard_error(1, 10), 0);
}

/// Two-sided 95 % and 99 % points as every table has them.
TEST(Statistics, StudentsT) {
  EXPECT_NEAR(student_t(0.95, 1), 12.7062, 5e-5);
  EXPECT_NEAR(student_t(0.95, 2), 4.3027, 5e-5);
  EXPECT_NEAR(student_t(0.95, 3), 3.1824, 5e-5);
  EXPECT_NEAR(student_t(0.95, 10), 2.2281, 5e-5);
  EXPECT_NEAR(student_t(0.99, 4), 4.6041, 5e-5);
  EXPECT_NEAR(student_t(0.99, 29), 2.7564, 5e-5);
  EXPECT_NEAR(student_t(0.95, 100000), 1.9600, 5e-5);
}

/// mpmath with 40 digits.
TEST(Statistics, NormalDistribution) {
  EXPECT_NEAR(normal_probability(-8) / 6.2209605742717841235e-16, 1, 1e-12);
  EXPECT_NEAR(normal_probability(-3), 0.0013498980316300945267, 1e-16);
  EXPECT_NEAR(normal_probability(0.5), 0.69146246127401310364, 1e-15);
  EXPECT_NEAR(normal_quantile(1e-10), -6.3613409024040562047, 1e-13);
  EXPECT_NEAR(normal_quantile(0.001), -3.0902323061678135415, 1e-14);
  EXPECT_NEAR(normal_quantile(0.3), -0.52440051270804078404, 1e-15);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-15);
  EXPECT_NEAR(normal_quantile(0.975), 1.9599639845400542355, 1e-14);
}

/// NIST's Statistical Reference Datasets, Norris: its certified values.
TEST(Statistics, LineThroughTheNorrisData) {
  const std::vector<double> x{0.2,   337.4, 118.2, 884.6, 10.1,  226.5, 666.3, 996.3, 448.6,
                              777.0, 558.2, 0.4,   0.6,   775.5, 666.9, 338.0, 447.5, 11.6,
                              556.0, 228.1, 995.8, 887.6, 120.2, 0.3,   0.3,   556.8, 339.1,
                              887.2, 999.0, 779.0, 11.1,  118.3, 229.2, 669.1, 448.9, 0.5};
  const std::vector<double> y{0.1,   338.8, 118.1, 888.0, 9.2,   228.1, 668.5, 998.5, 449.1,
                              778.9, 559.2, 0.3,   0.1,   778.1, 668.8, 339.3, 448.9, 10.8,
                              557.7, 228.3, 998.0, 888.8, 119.6, 0.3,   0.6,   557.6, 339.3,
                              888.0, 998.5, 778.9, 10.2,  117.6, 228.9, 668.4, 449.2, 0.2};
  const Line line = fit_line(x, y);
  EXPECT_NEAR(line.slope, 1.00211681802045, 1e-12);
  EXPECT_NEAR(line.intercept, -0.262323073774029, 1e-11);
  EXPECT_NEAR(line.slope_error, 0.429796848199937e-3, 1e-13);
  EXPECT_EQ(line.freedom, 34);
}

/// Times that grow as length to the power of 2, each 5 % off: the interval of the slope of log
/// against log holds 2 as often as it says.
TEST(Statistics, IntervalsOfSlopesHoldTheTruth) {
  constexpr int kTrials = 2000;
  constexpr double kConfidence = 0.95;
  RandomStream random(RandomKey(5));
  const std::vector<double> lengths{128, 256, 512, 1024, 2048};
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> x, y;
    for (const double length : lengths) {
      x.push_back(std::log(length));
      y.push_back(2 * std::log(length) + 0.05 * random.normal());
    }
    const Line line = fit_line(x, y);
    const double half = student_t(kConfidence, line.freedom) * line.slope_error;
    held += std::abs(line.slope - 2) <= half ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(held) / kTrials, kConfidence, 0.0147);  // three standard errors
}

TEST(Statistics, LineThroughTwoPoints) {
  const std::vector<double> x{1, 3};
  const std::vector<double> y{5, 1};
  const Line line = fit_line(x, y);
  EXPECT_DOUBLE_EQ(line.slope, -2);
  EXPECT_DOUBLE_EQ(line.intercept, 7);
  EXPECT_EQ(line.slope_error, 0);
  EXPECT_EQ(line.freedom, 0);
}

TEST(Statistics, RefusesWhatHasNoAnswer) {
  EXPECT_ERROR(mean({}), "no values");
  EXPECT_ERROR(median({}), "no values");
  EXPECT_ERROR(quantile(kValues, 1.5), "1.5");
  EXPECT_ERROR(binomial_standard_error(1.5, 10), "1.5");
  EXPECT_ERROR(normal_quantile(0), "a probability of 0");
  EXPECT_ERROR(student_t(1, 3), "a confidence of 1 ");
  EXPECT_ERROR(student_t(0.95, 0), "0 degrees of freedom");
  EXPECT_ERROR(fit_line(std::vector<double>{1}, std::vector<double>{1}), "1 and 1 numbers");
  EXPECT_ERROR(fit_line(kValues, kPair), "8 and 2 numbers");
  EXPECT_ERROR(fit_line(std::vector<double>{4, 4}, kPair), "of one x");
}

TEST(Statistics, LastCrossingIsOnTheLine) {
  const std::vector<double> values{1, -1, 2, 2, -6}, places{0, 10, 20, 30, 70};
  const auto crossing = last_crossing(values);
  ASSERT_TRUE(crossing.has_value());
  EXPECT_EQ(crossing->before, 3U);
  EXPECT_DOUBLE_EQ(crossing->at(places), 40);
  EXPECT_FALSE(last_crossing(std::vector<double>{0, 1}).has_value());
  EXPECT_FALSE(last_crossing(std::vector<double>{-1}).has_value());
  EXPECT_FALSE(last_crossing({}).has_value());
}

}  // namespace
}  // namespace arena
