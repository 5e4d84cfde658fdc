#include "harness/train/verdict.hpp"

#include <gtest/gtest.h>

namespace arena {
namespace {

const Baseline kMajority{"majority", 0.125};

TEST(Verdict, SaysByWhatAScoreMissesTheBestConstant) {
  // The standard error is sqrt(0.125 0.875 / 1600) = 0.0083, so learned begins above 0.1498.
  EXPECT_EQ(why_not_learned(0.15, kMajority, 1600), "");
  EXPECT_EQ(why_not_learned(0.149, kMajority, 1600),
            "test accuracy 14.90 % is not above the 12.50 % of the best constant (majority) by 3 "
            "standard errors of 0.83 % (1600 labels)");
  EXPECT_NE(why_not_learned(0.05, kMajority, 1600), "");
}

TEST(Verdict, ReachGrowsByOneEdgeALayer) {
  // 0 <- 1 <- 2 <- 3, and 4 sees only itself; nobody else sees itself, but residuals keep it.
  const Edges edges =
      make_edges(5, 5, std::vector<std::pair<Index, Index>>{{0, 1}, {1, 2}, {2, 3}, {4, 4}});
  const auto from = [&](Index layers, const std::vector<Index>& targets) {
    return reach(edges, layers, targets);
  };
  EXPECT_EQ(from(1, {0}), (Reach{2, 2}));
  EXPECT_EQ(from(2, {0}), (Reach{3, 3}));
  EXPECT_EQ(from(9, {0}), (Reach{4, 4}));
  EXPECT_EQ(from(2, {0, 3, 4}), (Reach{1, 3}));
}

TEST(Verdict, ReachCountsBeyondOneWordOfBits) {
  const auto ring = [](Index i, Index j) { return j == i || j == (i + 1) % 200; };
  EXPECT_EQ(reach(edges_where(200, 200, ring), 150, std::vector<Index>{7}), (Reach{151, 151}));
}

std::string reason(const std::string& variant, Index length, Index layers,
                   std::vector<std::int32_t> labels = {1}) {
  Sample sample{.tokens = std::vector<std::int32_t>(static_cast<std::size_t>(length), 0),
                .labels = std::move(labels)};
  if (variant == "graph") {
    const auto pairs = [](Index i, Index j) { return i / 2 == j / 2; };
    sample.edges = std::make_shared<Edges>(edges_where(length, length, pairs));
  }
  const Setup setup{.num_heads = 2, .head_dim = 4, .model_dim = 8, .num_layers = layers};
  return why_out_of_reach(choose_variant(variant), setup, sample);
}

TEST(Verdict, NamesTheReachOfAPattern) {
  EXPECT_EQ(reason("local[window=16]", 100, 2),
            "through its pattern a scored position reaches only 33 to 65 of 100 positions in 2 "
            "layers");
  EXPECT_EQ(reason("local[window=16]", 100, 7), "");
  EXPECT_EQ(reason("local_block[block=10]", 40, 5),
            "through its pattern a scored position reaches only 10 of 40 positions in 5 layers");
  std::vector<std::int32_t> last(40, kNotScored);
  last.back() = 3;
  EXPECT_EQ(reason("local[window=16]", 40, 1, last),
            "through its pattern a scored position reaches only 17 of 40 positions in 1 layer");
  last.back() = kNotScored, last[20] = 3;
  EXPECT_EQ(reason("local[window=20]", 40, 1, last), "");
  EXPECT_EQ(reason("graph", 8, 2),
            "through its pattern a scored position reaches only 2 of 8 positions in 2 layers");
}

TEST(Verdict, SaysNothingWherePositionsMayReachAllOthers) {
  for (const char* variant : {"dense", "linear", "linformer", "strided[stride=8]",
                              "bigbird[block=4,random=0]", "reformer"}) {
    EXPECT_EQ(reason(variant, 64, 2), "") << variant;
  }
}

}  // namespace
}  // namespace arena
