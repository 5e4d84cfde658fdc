#include "harness/core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace arena {
namespace {

using Words = std::array<std::uint32_t, 4>;

constexpr double kStandardErrors = 4;

// Random123's own vectors (kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, KnownAnswers) {
  constexpr std::uint32_t kOnes = 0xFFFFFFFF;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(philox4x32({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}),
            (Words{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

// The golden values below come from an independent program that follows the comment on top of
// random.hpp. They may never change: every stored result depends on them.
TEST(RandomKey, GoldenFolds) {
  EXPECT_EQ(RandomKey(1).fold(2).bits(), 0xF851C1068BA44233);
  EXPECT_EQ(RandomKey(7).fold("layers.0.wq").bits(), 0x3474921F97C499A8);
  EXPECT_EQ(RandomKey(42).fold(Purpose::kAttention).fold(1000).fold(3).bits(), 0x8B87BD621AFEFF13);
  EXPECT_EQ(RandomKey(0).fold((std::uint64_t{1} << 40) + 1).bits(), 0x36594FAC75BC1639);
}

TEST(RandomKey, GoldenWords) {
  const RandomKey key(42);
  EXPECT_EQ(key.words(0), (Words{0x39CDA353, 0x5A8E0431, 0x8CAF6F6E, 0x68C9220E}));
  EXPECT_EQ(key.words(std::uint64_t{1} << 33),
            (Words{0xC66EBF26, 0x71DAB156, 0x5D84CB6B, 0xADD168E5}));
  EXPECT_EQ(key.uniform_at(0), 0.2257940173149109F);
  EXPECT_EQ(key.uniform_at(5), 0.9861259460449219F);
  EXPECT_EQ(key.uniform_at(1000), 0.4472350478172302F);
}

TEST(RandomStream, GoldenUniforms) {
  RandomStream stream(RandomKey(42));
  for (const double expected :
       {0.22579403485156213, 0.5495519296029139, 0.023439094320877985, 0.7732923400926607}) {
    EXPECT_EQ(stream.uniform(), expected);
  }
}

TEST(RandomStream, GoldenNormals) {
  constexpr double kLibrary = 1e-14;  // log, sin and cos may differ in the last place
  RandomStream stream(RandomKey(42));
  for (const double expected :
       {-0.6810304736573043, -0.21916241887757418, 0.031761211415013105, -0.21547051737048942}) {
    EXPECT_NEAR(stream.normal(), expected, kLibrary);
  }
}

TEST(RandomStream, GoldenWholeNumbers) {
  RandomStream stream(RandomKey(42));
  for (const Index expected : {2, 3, 5, 4, 0, 9, 7, 9, 1, 8, 6, 5}) {
    EXPECT_EQ(stream.below(10), expected);
  }
  RandomStream wide(RandomKey(42));  // a quarter of all words is rejected here
  for (const std::int64_t expected :
       {727333502L, 1139442468L, 1770230674L, 1318508938L, 75502602L, 2490948975L}) {
    EXPECT_EQ(wide.below(Index{3} << 30), expected);
  }
  EXPECT_EQ(wide.word(), RandomKey(42).words(1)[3]) << "six numbers took seven words";
}

TEST(RandomStream, GoldenPermutation) {
  EXPECT_EQ(RandomStream(RandomKey(42)).permutation(10),
            (std::vector<Index>{1, 5, 6, 8, 7, 0, 9, 4, 3, 2}));
}

TEST(RandomStream, WordsAreThoseOfTheKey) {
  const RandomKey key = RandomKey(3).fold(Purpose::kTest);
  RandomStream stream(key);
  for (std::uint64_t position = 0; position < 50; ++position) {
    EXPECT_EQ(stream.word(), key.words(position / 4)[position % 4]);
  }
}

TEST(RandomStream, UniformsAreUniform) {
  constexpr Index kDraws = 200000;
  constexpr std::size_t kBins = 50;
  RandomStream stream(RandomKey(5));
  std::array<double, kBins> counts{};
  for (Index i = 0; i < kDraws; ++i) {
    const double u = stream.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    ++counts[static_cast<std::size_t>(u * kBins)];
  }
  double chi_square = 0;  // mean kBins - 1, variance 2 (kBins - 1)
  for (const double count : counts) {
    constexpr double kExpected = static_cast<double>(kDraws) / kBins;
    chi_square += (count - kExpected) * (count - kExpected) / kExpected;
  }
  EXPECT_NEAR(chi_square, kBins - 1, kStandardErrors * std::sqrt(2.0 * (kBins - 1)));
}

TEST(RandomStream, WholeNumbersAreUniform) {
  constexpr Index kDraws = 70000;
  RandomStream stream(RandomKey(6));
  std::array<double, 7> counts{};
  for (Index i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(stream.below(7))];
  const double p = 1.0 / 7;
  const double error = std::sqrt(p * (1 - p) * static_cast<double>(kDraws));
  for (const double count : counts) {
    EXPECT_NEAR(count, p * static_cast<double>(kDraws), kStandardErrors * error);
  }
  EXPECT_EQ(stream.below(1), 0);
}

TEST(RandomStream, NormalMoments) {
  constexpr Index kDraws = 200000;
  RandomStream stream(RandomKey(8));
  std::array<double, 5> sums{};  // of the powers 0 to 4
  double pairs = 0;              // of neighbours: the two numbers of one Box-Muller draw
  double previous = 0;
  for (Index i = 0; i < kDraws; ++i) {
    const double x = stream.normal();
    double power = 1;
    for (double& sum : sums) {
      sum += power;
      power *= x;
    }
    pairs += x * previous;
    previous = x;
  }
  const double n = static_cast<double>(kDraws);
  EXPECT_NEAR(sums[1] / n, 0, kStandardErrors / std::sqrt(n));
  EXPECT_NEAR(sums[2] / n, 1, kStandardErrors * std::sqrt(2 / n));
  EXPECT_NEAR(sums[3] / n, 0, kStandardErrors * std::sqrt(15 / n));
  EXPECT_NEAR(sums[4] / n, 3, kStandardErrors * std::sqrt(96 / n));
  EXPECT_NEAR(pairs / n, 0, kStandardErrors / std::sqrt(n));
}

TEST(RandomStream, PermutationsHoldEachNumberOnce) {
  RandomStream stream(RandomKey(9));
  for (const Index count : {0, 1, 2, 100}) {
    std::vector<Index> order = stream.permutation(count);
    std::ranges::sort(order);
    std::vector<Index> expected(static_cast<std::size_t>(count));
    std::iota(expected.begin(), expected.end(), Index{0});
    EXPECT_EQ(order, expected);
  }
}

TEST(RandomStream, PermutationsAreUniform) {
  constexpr Index kDraws = 24000;
  RandomStream stream(RandomKey(10));
  std::map<std::vector<Index>, double> counts;
  for (Index i = 0; i < kDraws; ++i) ++counts[stream.permutation(4)];
  ASSERT_EQ(counts.size(), 24U);
  const double expected = static_cast<double>(kDraws) / 24;
  for (const auto& [order, count] : counts) {
    EXPECT_NEAR(count, expected, kStandardErrors * std::sqrt(expected));
  }
}

TEST(RandomKey, BranchesDiffer) {
  std::set<std::uint64_t> keys;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (std::uint64_t branch = 0; branch < 100; ++branch) {
      keys.insert(RandomKey(seed).fold(branch).bits());
    }
  }
  EXPECT_EQ(keys.size(), 2000U);
  EXPECT_NE(RandomKey(1).fold(2).fold(3).bits(), RandomKey(1).fold(3).fold(2).bits());
}

TEST(RandomKey, DrawsDoNotDependOnTheirOrder) {
  const RandomKey key(11);
  std::vector<float> forward;
  std::vector<float> backward(100);
  for (std::uint64_t i = 0; i < 100; ++i) forward.push_back(key.uniform_at(i));
  for (std::uint64_t i = 100; i-- > 0;) backward[i] = key.uniform_at(i);
  EXPECT_EQ(forward, backward);
}

TEST(Fill, WritesTheViewInRowOrderAndNothingElse) {
  Matrix wide = Matrix::Constant(3, 8, -7);
  const View inner = View(wide).column_slice(2, 4);
  fill_normal(RandomKey(12), 0.5F, inner);
  RandomStream stream(RandomKey(12));
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j < 4; ++j) {
      EXPECT_EQ(inner(i, j), 0.5F * static_cast<float>(stream.normal()));
    }
  }
  EXPECT_TRUE((wide.leftCols(2).array() == -7).all());
  EXPECT_TRUE((wide.rightCols(2).array() == -7).all());
}

TEST(Fill, UniformsStayWithinTheirBound) {
  Matrix values(100, 100);
  fill_uniform(RandomKey(13), 0.25F, values);
  EXPECT_LE(values.cwiseAbs().maxCoeff(), 0.25F);
  EXPECT_GT(values.maxCoeff(), 0.249F);
  EXPECT_LT(values.minCoeff(), -0.249F);
  const double error = 0.25 / std::sqrt(3.0 * static_cast<double>(values.size()));
  EXPECT_NEAR(values.cast<double>().mean(), 0, kStandardErrors * error);
}

TEST(RandomKey, PlanesHoldTheWordsOfSixteenBlocks) {
  const RandomKey key = RandomKey(3).fold(Purpose::kDropout);
  for (const std::uint64_t first :
       {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{0xFFFFFFFA}}) {
    const RandomKey::WordPlanes planes = key.word_planes(first);
    for (std::size_t block = 0; block < RandomKey::kBlocksAtOnce; ++block) {
      const auto words = key.words(first + block);
      for (std::size_t w = 0; w < words.size(); ++w) EXPECT_EQ(planes[w][block], words[w]);
    }
  }
}

}  // namespace
}  // namespace arena
