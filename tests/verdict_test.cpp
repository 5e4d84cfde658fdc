#include "harness/train/verdict.hpp"

#include <gtest/gtest.h>

namespace arena {
namespace {

const Baseline kMajority{"majority", 0.125};

/// Sequences of `together` labels each that are right or wrong together, `right` of them right.
Evaluation scored(Index sequences, Index right, Index together = 1) {
  Evaluation evaluation;
  for (Index i = 0; i < sequences * together; ++i) {
    evaluation.right.push_back(i / together < right ? 1 : 0);
    evaluation.starts.push_back(i % together == 0 ? 1 : 0);
  }
  evaluation.accuracy = static_cast<double>(right) / static_cast<double>(sequences);
  return evaluation;
}

TEST(Verdict, SaysByWhatAScoreMissesTheBestConstant) {
  // The standard error is sqrt(0.125 0.875 / 1600) = 0.0083, so learned begins above 0.1498.
  EXPECT_EQ(why_not_learned(scored(1600, 240), kMajority), "");
  EXPECT_EQ(why_not_learned(scored(1600, 236), kMajority),
            "test accuracy 14.75 % is not above the 12.50 % of the best constant (majority) by 3 "
            "standard errors of 0.83 % (1600 labels)");
  EXPECT_NE(why_not_learned(scored(1600, 80), kMajority), "");
}

TEST(Verdict, LabelsThatAreRightTogetherCountOnce) {
  // 400 sequences of 4 labels: sqrt(0.15 0.85 / 399) = 0.0179, so learned begins above 0.1786.
  EXPECT_EQ(why_not_learned(scored(400, 60, 4), kMajority),
            "test accuracy 15.00 % is not above the 12.50 % of the best constant (majority) by 3 "
            "standard errors of 1.79 % (1600 labels in 400 sequences)");
  EXPECT_EQ(why_not_learned(scored(400, 80, 4), kMajority), "");
  // One graph's nodes are its only sequence: all that can be said is said of its labels.
  EXPECT_EQ(why_not_learned(scored(1, 1, 1600), kMajority), "");
  // Sequences that are more alike than chance make nothing surer.
  Evaluation alike = scored(800, 800, 2);
  for (std::size_t i = 0; i < 1600; i += 2) alike.right[i] = 0;
  alike.accuracy = 0.5;
  const std::string reason = why_not_learned(alike, {"majority", 0.5});
  EXPECT_NE(reason.find("standard errors of 1.25 % (1600 labels in 800 sequences)"),
            std::string::npos)
      << reason;
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
