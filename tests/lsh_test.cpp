// Hashing by random rotations and the order it gives, against explicit formulas and counts.

#include "variants/engine/lsh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace arena {
namespace {

using Integers = std::vector<std::int32_t>;

Matrix normal(Index rows, Index cols, std::uint64_t seed) {
  Matrix matrix(rows, cols);
  fill_normal(RandomKey(seed).fold(Purpose::kTest), 1, matrix);
  return matrix;
}

Integers buckets_of(const Hashing& hashing, const Matrix& x, const Matrix& rotations,
                    Index threads = 1) {
  Integers buckets(static_cast<std::size_t>(hashing.rounds * x.rows()), -1);
  Workers workers(threads);
  lsh_buckets(workers.team(), hashing, x, rotations, buckets);
  return buckets;
}

Integers order_of(const Hashing& hashing, const Integers& buckets) {
  Integers order(buckets.size(), -1);
  Workers workers(1);
  lsh_order(workers.team(), hashing, buckets, order);
  return order;
}

/// The largest of [x R; -x R], and the one at `place`.
std::pair<double, double> largest_and_at(const MatrixD& projections, Index place) {
  const Index half = projections.cols();
  const double at = place < half ? projections(0, place) : -projections(0, place - half);
  return {projections.cwiseAbs().maxCoeff(), at};
}

TEST(BucketFactors, AreOneUpTo128ThenTwoEvenOnes) {
  for (const Index buckets : {2, 10, 128}) {
    EXPECT_EQ(bucket_factors(buckets).first, buckets);
    EXPECT_EQ(bucket_factors(buckets).second, 1);
  }
  for (Index buckets = 130; buckets < 5000; buckets += 2) {
    const BucketFactors factors = bucket_factors(buckets);
    EXPECT_EQ(factors.first % 2 + factors.second % 2, 0) << buckets;
    EXPECT_GE(factors.buckets(), buckets);
    EXPECT_LE(static_cast<double>(factors.buckets()), 1.2 * static_cast<double>(buckets));
    EXPECT_LE(static_cast<double>(factors.columns()), 1.5 * std::sqrt(static_cast<double>(buckets)))
        << buckets;
  }
  EXPECT_EQ(bucket_factors(512).buckets(), 512);
}

class Buckets : public testing::TestWithParam<Index> {};

TEST_P(Buckets, AreWhereProjectionsAndTheirNegativesAreLargest) {
  const Hashing hashing{bucket_factors(GetParam()), 3};
  for (const Index len : {1, 63, 64, 150}) {
    const Matrix x = normal(len, 20, 1), rotations = normal(hashing.columns(), 20, 2);
    const Integers buckets = buckets_of(hashing, x, rotations);
    EXPECT_EQ(buckets, buckets_of(hashing, x, rotations, 2));
    const MatrixD all = x.cast<double>() * rotations.cast<double>().transpose();
    const BucketFactors factors = hashing.factors;
    for (Index r = 0; r < hashing.rounds; ++r) {
      const Index column = r * factors.columns(), half = factors.first / 2;
      for (Index i = 0; i < len; ++i) {
        const Index bucket = buckets[static_cast<std::size_t>(r * len + i)];
        ASSERT_LT(bucket, factors.buckets());
        const auto [largest, at] =
            largest_and_at(all.row(i).segment(column, half), bucket % factors.first);
        EXPECT_NEAR(at, largest, 1e-5);
        if (factors.second == 1) continue;
        const auto [second_largest, second_at] = largest_and_at(
            all.row(i).segment(column + half, factors.second / 2), bucket / factors.first);
        EXPECT_NEAR(second_at, second_largest, 1e-5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Numbers, Buckets, testing::Values(2, 4, 26, 128, 130, 512));

TEST(Buckets, TiesGoToTheLower) {
  const Hashing hashing{bucket_factors(4), 1};
  Matrix x(4, 2), rotations = Matrix::Identity(2, 2);
  x << 1, 1, -1, 1, -1, -1, 0, 0;
  EXPECT_EQ(buckets_of(hashing, x, rotations), (Integers{0, 1, 2, 0}));
}

TEST(Order, IsByBucketAndStable) {
  const Hashing hashing{{4, 1}, 2};
  const Integers buckets{3, 0, 3, 1, 0, 2, 2, 2, 2, 0};
  EXPECT_EQ(order_of(hashing, buckets), (Integers{1, 4, 3, 0, 2, 4, 0, 1, 2, 3}));
}

TEST(Order, SortsEachRoundOfADraw) {
  constexpr Index kLen = 300;
  const Hashing hashing{bucket_factors(200), 4};
  const Matrix x = normal(kLen, 32, 3);
  const RandomKey key(4);
  Integers order(static_cast<std::size_t>(hashing.rounds * kLen)), again = order;
  Workers one(1), three(3);
  draw_lsh_order(one.team(), hashing, x, key, order);
  draw_lsh_order(three.team(), hashing, x, key, again);
  EXPECT_EQ(order, again);
  EXPECT_LE(one.high_water(), lsh_scratch(hashing, kLen, 32, 1).total);
  EXPECT_LE(three.high_water(), lsh_scratch(hashing, kLen, 32, 3).total);
  Matrix rotations(hashing.columns(), 32);
  fill_normal(key, 1, rotations);
  const Integers buckets = buckets_of(hashing, x, rotations);
  for (std::size_t first = 0; first < order.size(); first += kLen) {
    Integers sorted(kLen);
    std::iota(sorted.begin(), sorted.end(), 0);
    std::ranges::stable_sort(
        sorted, {}, [&](std::int32_t i) { return buckets[first + static_cast<std::size_t>(i)]; });
    EXPECT_TRUE(
        std::equal(sorted.begin(), sorted.end(), order.begin() + static_cast<Index>(first)));
  }
  draw_lsh_order(one.team(), hashing, x, RandomKey(5), again);
  EXPECT_NE(order, again);
}

/// Share of rounds in which two unit vectors at this angle fall into one bucket.
double collisions(double angle, Index buckets, Index rounds) {
  const Hashing hashing{bucket_factors(buckets), rounds};
  Matrix pair = Matrix::Zero(2, 16);
  pair(0, 0) = 1;
  pair(1, 0) = static_cast<float>(std::cos(angle));
  pair(1, 1) = static_cast<float>(std::sin(angle));
  const Integers both = buckets_of(hashing, pair, normal(hashing.columns(), 16, 6));
  Index count = 0;
  for (std::size_t r = 0; r < both.size(); r += 2) count += both[r] == both[r + 1] ? 1 : 0;
  return static_cast<double>(count) / static_cast<double>(rounds);
}

TEST(Buckets, HoldCloseVectorsTogetherMoreOften) {
  constexpr Index kRounds = 4000;
  for (const Index buckets : {2, 16, 64, 256}) {
    double closer = collisions(0, buckets, kRounds);
    EXPECT_EQ(closer, 1);
    for (const double angle : {0.3, 0.8, 1.5, 3.14159}) {
      const double share = collisions(angle, buckets, kRounds);
      const double error = std::sqrt((closer * (1 - closer) + share * (1 - share)) / kRounds);
      EXPECT_GT(closer - share, 4 * error) << buckets << " buckets, angle " << angle;
      closer = share;
    }
    EXPECT_EQ(closer, 0) << "opposite vectors in one of " << buckets << " buckets";
  }
}

TEST(Buckets, OfTwoAreHalfSpaces) {
  constexpr Index kRounds = 10000;
  for (const double angle : {0.5, 1.0, 2.0}) {
    const double expected = 1 - angle / std::acos(-1.0);
    EXPECT_NEAR(collisions(angle, 2, kRounds), expected,
                4 * std::sqrt(expected * (1 - expected) / kRounds));
  }
}

}  // namespace
}  // namespace arena
