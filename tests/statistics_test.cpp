#include "results/statistics.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/expect_error.hpp"

namespace arena {
namespace {

const std::vector<double> kValues{2, 4, 4, 4, 5, 5, 7, 9};

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

TEST(Statistics, RefusesWhatHasNoAnswer) {
  EXPECT_ERROR(mean({}), "no values");
  EXPECT_ERROR(median({}), "no values");
  EXPECT_ERROR(quantile(kValues, 1.5), "1.5");
  EXPECT_ERROR(binomial_standard_error(1.5, 10), "1.5");
}

}  // namespace
}  // namespace arena
