// Attention along edges: graph and gat against the oracle, against each other variant that some
// edges make of them, and under what must change nothing.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "harness/bench/contender.hpp"
#include "harness/conformance/oracle.hpp"
#include "harness/conformance/subject.hpp"
#include "harness/model/make.hpp"
#include "tests/expect_error.hpp"
#include "variants/engine/gathered_rows.hpp"

namespace arena {
namespace {

using Pairs = std::vector<std::pair<Index, Index>>;

constexpr Index kWidth = 20;
constexpr double kTolerance = 1e-5;  // of the largest number: float sums in another order
const RandomKey kKey = RandomKey(11).fold(Purpose::kTest);

Pairs pairs_of(const Edges& edges) {
  Pairs pairs;
  for (std::size_t i = 0; i + 1 < edges.row_begin.size(); ++i) {
    for (Index e = edges.row_begin[i]; e < edges.row_begin[i + 1]; ++e) {
      pairs.emplace_back(static_cast<Index>(i), edges.key[static_cast<std::size_t>(e)]);
    }
  }
  return pairs;
}

/// One head with values drawn for it.
struct Case {
  Case(const std::string& variant, const Extents& extents)
      : chosen(choose_variant(variant)),
        head(make_head(chosen.variant, {.head_dim = kWidth, .model_dim = kWidth}, chosen.options)),
        subject(*head, extents, kWidth, chosen.variant.claims.log_sum_exp),
        example(subject, kKey) {}

  Outcome run(const Edges* edges, Index threads = 1) const {
    Workers workers(threads);
    return arena::run(subject, example, {.team = workers.team(), .edges = edges});
  }

  ChosenVariant chosen;
  std::unique_ptr<AttentionHead> head;
  HeadSubject subject;
  Example example;
};

/// The largest relative difference of outputs and gradients of inputs.
double distance(const Outcome& a, const Outcome& b) {
  double largest = 0;
  for (std::size_t o = 0; o < b.outputs.size(); ++o) {
    largest = std::max(largest,
                       max_error(a.outputs[o].view(), MatrixD(b.outputs[o].view().cast<double>())));
  }
  for (std::size_t i = 0; i < b.d_inputs.size(); ++i) {
    largest = std::max(
        largest, max_error(a.d_inputs[i].view(), MatrixD(b.d_inputs[i].view().cast<double>())));
  }
  return largest;
}

TEST(GatheredRows, DotsAndSumsOfEveryWidth) {
  RandomStream stream(kKey);
  for (Index width = 1; width <= 140; ++width) {
    Matrix storage = Matrix::Constant(20, width + 3, std::nanf(""));
    const View rows = View(storage).column_slice(0, width);
    fill_normal(kKey.fold("rows"), 1, rows);
    Matrix x(1, width);
    fill_normal(kKey.fold("x"), 1, x);
    for (const Index count : {0, 1, 2, 7, 16, 33}) {
      std::vector<std::int32_t> at;
      for (Index e = 0; e < count; ++e) at.push_back(static_cast<std::int32_t>(stream.below(20)));
      Matrix weights(1, count + 1), dots = Matrix::Constant(1, count + 1, 7);
      fill_normal(kKey.fold("weights"), 1, weights);
      Matrix sum = Matrix::Constant(1, width + 1, 7), picked(count, width);
      for (Index e = 0; e < count; ++e) picked.row(e) = rows.row(at[static_cast<std::size_t>(e)]);
      const GatheredRows gathered(rows, at.data());
      dot_rows(x.data(), gathered, count, dots.data());
      sum_rows(weights.data(), gathered, count, sum.data(), Output::kOverwrite);
      sum_rows(weights.data(), gathered, count, sum.data(), Output::kAdd);
      const Matrix expected = 2 * weights.leftCols(count) * picked;
      ASSERT_LT((dots.leftCols(count) - x * picked.transpose()).norm(), 1e-4F) << width;
      ASSERT_LT((sum.leftCols(width) - expected).norm(), 1e-4F) << width;
      ASSERT_EQ(dots(0, count), 7);
      ASSERT_EQ(sum(0, width), 7);
    }
  }
}

TEST(Graph, TheCompleteGraphIsDense) {
  for (const Extents& extents : {Extents{33, 33}, Extents{7, 100}, Extents{100, 300}}) {
    const Edges all =
        edges_where(extents.query_len, extents.key_len, [](Index, Index) { return true; });
    EXPECT_LT(distance(Case("graph", extents).run(&all), Case("dense", extents).run(nullptr)),
              kTolerance);
  }
}

TEST(Graph, ABandIsLocal) {
  const Extents extents{300, 300};
  const Edges band = edges_where(300, 300, [](Index i, Index j) { return std::abs(i - j) <= 9; });
  EXPECT_LT(
      distance(Case("graph", extents).run(&band), Case("local[window=9]", extents).run(nullptr)),
      kTolerance);
}

TEST(Graph, TheOrderOfEdgesChangesNothing) {
  const Edges graph = random_graph(100, 12, kKey);
  Pairs shuffled;
  const Pairs pairs = pairs_of(graph);
  for (const Index e : RandomStream(kKey).permutation(graph.count())) {
    shuffled.push_back(pairs[static_cast<std::size_t>(e)]);
  }
  const Edges same = make_edges(100, 100, shuffled);
  for (const char* variant : {"graph", "gat"}) {
    const Case one(variant, {100, 100});
    EXPECT_EQ(difference(one.subject, one.run(&graph), one.run(&same)), "") << variant;
  }
}

TEST(Graph, RelabelledNodesGiveRelabelledResults) {
  constexpr Index kNodes = 100;
  const Edges graph = random_graph(kNodes, 12, kKey);
  const std::vector<Index> label = RandomStream(kKey).permutation(kNodes);
  const auto relabel = [&](ConstView rows) {
    Matrix result(rows.rows(), rows.cols());
    for (Index i = 0; i < rows.rows(); ++i) {  // none of what a variant does not have
      result.row(label[static_cast<std::size_t>(i)]) = rows.row(i);
    }
    return result;
  };
  Pairs relabelled;
  for (const auto& [i, j] : pairs_of(graph)) {
    relabelled.emplace_back(label[static_cast<std::size_t>(i)], label[static_cast<std::size_t>(j)]);
  }
  const Edges other = make_edges(kNodes, kNodes, relabelled);
  for (const char* variant : {"graph", "gat"}) {
    Case one(variant, {kNodes, kNodes});
    Outcome expected = one.run(&graph);
    for (Matrix& input : one.example.inputs) input = relabel(input);
    for (Matrix& weights : one.example.loss_weights) weights = relabel(weights);
    for (GuardedMatrix& m : expected.outputs) m.view() = relabel(m.view());
    for (GuardedMatrix& m : expected.d_inputs) m.view() = relabel(m.view());
    EXPECT_LT(distance(one.run(&other), expected), kTolerance) << variant;
  }
}

TEST(Graph, RowsAndColumnsWithoutEdges) {
  // Query 1 sees nothing; nobody sees key 2.
  const Edges edges = make_edges(3, 4, Pairs{{0, 0}, {0, 3}, {2, 1}});
  const Outcome outcome = Case("graph", {3, 4}).run(&edges);
  EXPECT_TRUE((outcome.outputs[0].view().row(1).array() == 0).all());
  EXPECT_EQ(outcome.outputs[1].view()(1, 0), -HUGE_VALF);
  EXPECT_TRUE((outcome.d_inputs[0].view().row(1).array() == 0).all());
  EXPECT_TRUE((outcome.d_inputs[1].view().row(2).array() == 0).all());
  EXPECT_TRUE((outcome.d_inputs[2].view().row(2).array() == 0).all());
  // One key: its value comes back.
  const Case two("graph", {3, 4});
  EXPECT_EQ(Matrix(two.run(&edges).outputs[0].view().row(2)), two.example.inputs[2].row(1));

  const Edges none = make_edges(3, 4, Pairs{});
  const Outcome empty = two.run(&none);
  for (const GuardedMatrix& gradient : empty.d_inputs) {
    EXPECT_TRUE((gradient.view().array() == 0).all());
  }
}

TEST(Graph, ANodeWithoutEdgesIsTheBiasOfGat) {
  const Edges edges = make_edges(3, 3, Pairs{{0, 0}, {0, 2}, {2, 2}});
  const Case one("gat", {3, 3});
  const ConstView bias = one.example.weights().parameters[2];
  EXPECT_EQ(Matrix(one.run(&edges).outputs[0].view().row(1)), Matrix(bias));
}

TEST(Graph, AHubIsSharedOutLikeOthers) {
  // One query sees all keys, one key is seen by all: longer than any piece or chunk.
  constexpr Index kNodes = 5000;
  Pairs pairs;
  for (Index i = 0; i < kNodes; ++i) {
    pairs.emplace_back(7, i);
    if (i != 7) pairs.emplace_back(i, 9);
  }
  const Edges star = make_edges(kNodes, kNodes, pairs);
  const Case one("graph", {kNodes, kNodes});
  const Outcome outcome = one.run(&star, 1);
  EXPECT_EQ(difference(one.subject, outcome, one.run(&star, 3)), "");
  const HeadInputs in{one.example.inputs[0], one.example.inputs[1], one.example.inputs[2]};
  const OracleOutputs expected = softmax_attention(to_double(in), {.edges = &star});
  EXPECT_LT(max_error(outcome.outputs[0].view(), expected.out), kTolerance);
}

TEST(Graph, CountsItsEdges) {
  const Variant& graph = Registry<Variant>::find("graph");
  for (const Index length : {Index{1}, Index{20}, Index{33}, Index{257}}) {
    const Edges edges = bench_graph(length);
    EXPECT_EQ(edges.count(), length * std::min(length, kBenchDegree));
    for (const Pass pass : {Pass::kForward, Pass::kBackward}) {
      const Problem problem = bench_problem(
          {.pass = pass, .length = length, .heads = 3, .head_dim = 16}, Options("graph", {}, {}));
      const double products = pass == Pass::kForward ? 2 : 5;
      EXPECT_EQ(graph.flops(problem), products * 2 * 16 * 3 * static_cast<double>(edges.count()));
    }
  }
}

TEST(Graph, EdgesMustBeThereAndFit) {
  for (const char* variant : {"graph", "gat"}) {
    const Case one(variant, {5, 5});
    EXPECT_ERROR(one.run(nullptr), std::string(variant) + " attends along the edges of a graph");
    const Edges other = random_graph(6, 3, kKey);
    EXPECT_ERROR(one.run(&other), "edges of 6 queries x 6 keys, but there are 5 x 5");
  }
}

/// A node that sees only itself keeps 0 or 1 / (1 - rate) of it, in training only.
TEST(Gat, DropsAttentionWeightsInTraining) {
  constexpr Index kNodes = 2000;
  const Edges loops = edges_where(kNodes, kNodes, [](Index i, Index j) { return i == j; });
  const ChosenVariant chosen = choose_variant("gat[attention_dropout=0.6]");
  const auto head = make_head(chosen.variant, {.head_dim = 3, .model_dim = 3}, chosen.options);
  const Matrix value = Matrix::Ones(kNodes, 3);
  ParameterLayout layout;
  const std::vector<Slice> slices = layout.add(head->parameters(), "", "");
  const std::vector<float> zeros(static_cast<std::size_t>(layout.size()));
  const Weights weights{ConstSlices(zeros.data(), slices), {}};
  Workers workers(1);
  Matrix out(kNodes, 3);
  const auto run = [&](bool training, std::uint64_t key) {
    const Call call{
        .team = workers.team(), .key = RandomKey(key), .training = training, .edges = &loops};
    head->forward(call, {.value = value}, weights, {.out = out}, nullptr, {});
    return out;
  };
  EXPECT_EQ(run(false, 1), value);
  const Matrix first = run(true, 1);
  for (Index i = 0; i < kNodes; ++i) {
    EXPECT_TRUE(first(i, 0) == 0 || std::abs(first(i, 0) - 2.5) < 1e-4) << first(i, 0);
    EXPECT_EQ(first(i, 0), first(i, 2));
  }
  EXPECT_NEAR(first.col(0).mean(), 1, 4 * 2.5 * 0.49 / std::sqrt(2000.0));
  EXPECT_EQ(run(true, 1), first);
  EXPECT_NE(run(true, 2), first);
}

}  // namespace
}  // namespace arena
