// Readers of citation graphs: good files in both forms, and every fault with its place.

#include "tasks/format/citation_graph.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/data_file.hpp"
#include "tests/expect_error.hpp"

namespace arena {
namespace {

const CitationFacts kFacts{"tiny", 4, {"A", "B"}};

const char* const kNodes =
    "0\t1\ttrain\t0 3\n"
    "1\t0\tval\t2\n"
    "2\t1\ttest\t\n"
    "3\t-1\t-\t0 1 2 3\n";
const char* const kEdges = "0\t2\n0\t1\n1\t3\n";

CitationGraph read_tsv(const std::string& nodes, const std::string& edges,
                       Packing packing = Packing::kPlain) {
  const DataFile node_file(nodes, packing), edge_file(edges, packing);
  return read_node_tsv(node_file.path(), edge_file.path(), kFacts);
}

std::vector<std::int32_t> keys_of(const Edges& edges, std::size_t i) {
  return {edges.key.begin() + edges.row_begin[i], edges.key.begin() + edges.row_begin[i + 1]};
}

TEST(NodeTsv, GivesTheGraphWithLoopsAndBothDirections) {
  for (const Packing packing : {Packing::kPlain, Packing::kGzip, Packing::kXz}) {
    const CitationGraph read = read_tsv(kNodes, kEdges, packing);
    const NodeGraph& graph = read.graph;
    EXPECT_EQ(graph.classes, (std::vector<std::int32_t>{1, 0, 1, kNotScored}));
    EXPECT_EQ(graph.splits, (std::vector<std::optional<Split>>{Split::kTrain, Split::kValidation,
                                                               Split::kTest, std::nullopt}));
    const Edges& edges = *graph.edges;
    EXPECT_EQ(edges.count(), 4 + 2 * 3);
    EXPECT_EQ(keys_of(edges, 0), (std::vector<std::int32_t>{0, 1, 2}));
    EXPECT_EQ(keys_of(edges, 1), (std::vector<std::int32_t>{0, 1, 3}));
    EXPECT_EQ(keys_of(edges, 3), (std::vector<std::int32_t>{1, 3}));
    Matrix words(4, 4);
    words << 0.5F, 0, 0, 0.5F, 0, 0, 1, 0, 0, 0, 0, 0, 0.25F, 0.25F, 0.25F, 0.25F;
    EXPECT_EQ(*graph.features, words);
    EXPECT_EQ(read.pairs, 3);
    EXPECT_EQ(read.content_hash, read_tsv(kNodes, kEdges).content_hash);
  }
  EXPECT_NE(read_tsv(kNodes, kEdges).content_hash, read_tsv(kNodes, "0\t2\n").content_hash);
}

TEST(NodeTsv, SplitsAreMasksOverLabels) {
  const NodeGraph graph = read_tsv(kNodes, kEdges).graph;
  EXPECT_EQ(graph.sample(Split::kTrain).labels, (std::vector<std::int32_t>{1, -1, -1, -1}));
  EXPECT_EQ(graph.sample(Split::kValidation).labels, (std::vector<std::int32_t>{-1, 0, -1, -1}));
  EXPECT_EQ(graph.sample(Split::kTest).labels, (std::vector<std::int32_t>{-1, -1, 1, -1}));
}

TEST(NodeTsv, RefusesBadNodesWithFileAndLine) {
  const auto with = [](const std::string& line) {
    return read_tsv(std::string(kNodes) + line + "\n", kEdges);
  };
  EXPECT_ERROR(with("4\t1\ttrain"),
               "tsv:5: 3 fields between tabs, expected node, class, split, words");
  EXPECT_ERROR(with("5\t1\ttrain\t0"), "tsv:5: node '5', expected 4 to 4");
  EXPECT_ERROR(with("x\t1\ttrain\t0"), "tsv:5: node 'x', expected 4 to 4");
  EXPECT_ERROR(with("4\t2\ttrain\t0"), "tsv:5: class '2', expected -1 to 1");
  EXPECT_ERROR(with("4\t1\ttraining\t0"),
               "tsv:5: split 'training', expected train, val, test or -");
  EXPECT_ERROR(with("4\t-1\ttest\t0"), "tsv:5: split 'test' without a class, expected -");
  EXPECT_ERROR(with("4\t1\ttest\t0 4"), "tsv:5: word '4', expected 1 to 3");
  EXPECT_ERROR(with("4\t1\ttest\t2 2"), "tsv:5: word '2', expected 3 to 3");
  EXPECT_ERROR(with("4\t1\ttest\t1 "), "tsv:5: a space behind the last word");
  EXPECT_ERROR(with("4\t1\ttest\t\xff"), "tsv:5: byte 10 is not UTF-8");
  EXPECT_ERROR(read_tsv("0\t1\ttrain\t0\n", kEdges), "no validation nodes");
  EXPECT_ERROR(read_tsv("", kEdges), "no training nodes");
}

TEST(NodeTsv, RefusesBadEdgesWithFileAndLine) {
  EXPECT_ERROR(read_tsv(kNodes, "0\t1\n1\t4\n"), "tsv:2: second node '4', expected 1 to 3");
  EXPECT_ERROR(read_tsv(kNodes, "1\t1\n"), "tsv:1: first node '1', expected 0 to 0");
  EXPECT_ERROR(read_tsv(kNodes, "2\t1\n"), "tsv:1: first node '2', expected 0 to 0");
  EXPECT_ERROR(read_tsv(kNodes, "0\t1\n0\t1\n"), "tsv:2: edge 0 1 stands twice");
  EXPECT_ERROR(read_tsv(kNodes, "0\n"), "tsv:1: 1 fields between tabs, expected two nodes");
  EXPECT_ERROR(read_tsv(kNodes, ""), "no edges");
}

TEST(NodeTsv, RefusesATruncatedFile) {
  const DataFile nodes(kNodes, Packing::kGzip), edges(kEdges);
  nodes.cut_to(40);
  EXPECT_ERROR(read_node_tsv(nodes.path(), edges.path(), kFacts), nodes.path());
}

/// `count` papers p0, p1, ... of classes A, B, A, ...
std::string papers(int count) {
  std::string rows;
  for (int i = 0; i < count; ++i) {
    rows += "p" + std::to_string(i) + (i % 3 == 0 ? "\t1\t0\t0\t1\t" : "\t0\t0\t0\t0\t") +
            (i % 2 == 0 ? "A" : "B") + "\n";
  }
  return rows;
}

CitationGraph read_linqs(const std::string& content, const std::string& cites) {
  const DataFile content_file(content), cites_file(cites);
  return read_content_cites({content_file.path()}, {cites_file.path()}, kFacts);
}

TEST(ContentCites, GivesTheGraphAndCountsWhatItLeavesOut) {
  const CitationGraph read =
      read_linqs(papers(16), "p0\tp1\np1\tp0\np2\tp0\nunknown\tp0\np0\tp9000\np3\tp3\n");
  EXPECT_EQ(read.graph.size(), 16);
  EXPECT_EQ(read.graph.classes[3], 1);
  EXPECT_EQ(read.pairs, 2);  // both directions of one pair are one
  EXPECT_EQ(read.graph.edges->count(), 16 + 2 * 2);
  EXPECT_EQ(read.left_out.at("citations of unknown papers, left out"), 2);
  EXPECT_EQ(read.left_out.at("citations of oneself, left out"), 1);
  EXPECT_EQ((*read.graph.features)(3, 3), 0.5F);
  EXPECT_EQ(read.graph.features->row(1).norm(), 0);
}

TEST(ContentCites, SplitsAFullSetByTheHashesOfItsPapers) {
  const CitationGraph read = read_linqs(papers(1700), "p0\tp1\n");
  std::map<std::optional<Split>, Index> counts;
  std::map<std::int32_t, Index> of_class;
  for (std::size_t i = 0; i < 1700; ++i) {
    const auto split = read.graph.splits[i];
    ++counts[split];
    if (split == Split::kTrain) ++of_class[read.graph.classes[i]];
  }
  EXPECT_EQ(of_class, (std::map<std::int32_t, Index>{{0, 20}, {1, 20}}));
  EXPECT_EQ(counts[Split::kValidation], 500);
  EXPECT_EQ(counts[Split::kTest], 1000);
  EXPECT_EQ(counts[std::nullopt], 160);
}

TEST(ContentCites, RefusesBadFilesWithFileAndLine) {
  const std::string good = papers(16), cites = "p0\tp1\n";
  EXPECT_ERROR(read_linqs(good + "q\t1\t0\t0\tA\n", cites),
               "tsv:17: 5 fields between tabs, expected a paper, 4 words and a class");
  EXPECT_ERROR(read_linqs(good + "q\t1\t0\t0\t2\tA\n", cites),
               "tsv:17: word 3 is '2', expected 0 or 1");
  EXPECT_ERROR(read_linqs(good + "q\t1\t0\t0\t1\tC\n", cites),
               "tsv:17: class 'C', expected one of A, B");
  EXPECT_ERROR(read_linqs(good + "p3\t1\t0\t0\t1\tA\n", cites), "tsv:17: paper 'p3' stands twice");
  EXPECT_ERROR(read_linqs(good + "\t1\t0\t0\t1\tA\n", cites), "tsv:17: a paper without a name");
  EXPECT_ERROR(read_linqs(good + "\xc3\t1\t0\t0\t1\tA\n", cites), "tsv:17: byte 1 is not UTF-8");
  EXPECT_ERROR(read_linqs(good, "p0\tp1\tp2\n"), "tsv:1: 3 fields between tabs, expected a cited");
  EXPECT_ERROR(read_linqs(good, "p0\tq\n"), "no citation between papers");
  EXPECT_ERROR(read_linqs("", cites), "no papers");
}

}  // namespace
}  // namespace arena
