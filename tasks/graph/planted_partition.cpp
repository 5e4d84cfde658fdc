#include "tasks/graph/planted_partition.hpp"

#include <cmath>

namespace arena {
namespace {

/// Classes of the nodes, and the nodes of each class.
struct Partition {
  std::vector<std::int32_t> class_of;
  std::vector<std::vector<Index>> members;
};

Partition draw_partition(const PlantedPartition& wanted, RandomStream stream) {
  Partition result{std::vector<std::int32_t>(static_cast<std::size_t>(wanted.nodes)),
                   std::vector<std::vector<Index>>(static_cast<std::size_t>(wanted.classes))};
  const std::vector<Index> order = stream.permutation(wanted.nodes);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto label = i % result.members.size();
    result.class_of[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(label);
    result.members[label].push_back(order[i]);
  }
  return result;
}

std::vector<std::pair<Index, Index>> draw_pairs(const PlantedPartition& wanted,
                                                const Partition& partition, RandomStream stream) {
  const auto class_of = [&](Index node) {
    return static_cast<std::size_t>(partition.class_of[static_cast<std::size_t>(node)]);
  };
  const auto pairs_of = [&](double neighbours) {
    return std::llround(neighbours * static_cast<double>(wanted.nodes) / 2);
  };
  std::vector<std::pair<Index, Index>> pairs;
  for (Index p = 0; p < pairs_of(wanted.inside); ++p) {
    const Index i = stream.below(wanted.nodes);
    const std::vector<Index>& own = partition.members[class_of(i)];
    const Index j = own[static_cast<std::size_t>(stream.below(std::ssize(own)))];
    pairs.emplace_back(i, j);
  }
  for (Index p = 0; p < pairs_of(wanted.outside); ++p) {
    const Index i = stream.below(wanted.nodes);
    Index j = i;
    while (class_of(j) == class_of(i)) j = stream.below(wanted.nodes);
    pairs.emplace_back(i, j);
  }
  return pairs;
}

std::vector<std::optional<Split>> draw_splits(Index nodes, RandomStream stream) {
  std::vector<std::optional<Split>> splits(static_cast<std::size_t>(nodes), Split::kTest);
  const std::vector<Index> order = stream.permutation(nodes);
  const auto half = static_cast<std::size_t>(nodes / 2), quarter = (order.size() - half) / 2;
  for (std::size_t i = 0; i < half + quarter; ++i) {
    splits[static_cast<std::size_t>(order[i])] = i < half ? Split::kTrain : Split::kValidation;
  }
  return splits;
}

}  // namespace

Matrix clue_centres(const PlantedPartition& partition, RandomKey key) {
  Matrix centres(partition.classes, partition.feature_dim);
  fill_normal(key, 1, View(centres));
  return centres;
}

NodeGraph draw_graph(const PlantedPartition& wanted, const Matrix& centres, RandomKey key) {
  const Partition partition = draw_partition(wanted, RandomStream(key.fold("classes")));
  NodeGraph graph{
      .classes = partition.class_of,
      .splits = draw_splits(wanted.nodes, RandomStream(key.fold("splits"))),
      .edges = std::make_shared<const Edges>(with_self_loops(
          wanted.nodes, draw_pairs(wanted, partition, RandomStream(key.fold("edges")))))};
  RandomStream stream(key.fold("clues"));
  std::vector<std::int32_t> clues;
  for (const std::int32_t label : graph.classes) {
    const bool own = stream.uniform() < wanted.clue;
    clues.push_back(own ? label : static_cast<std::int32_t>(stream.below(wanted.classes)));
  }
  if (wanted.feature_dim == 0) {
    graph.tokens = std::move(clues);
    return graph;
  }
  Matrix vectors(wanted.nodes, wanted.feature_dim);
  fill_normal(key.fold("noise"), 1, View(vectors));
  for (Index i = 0; i < wanted.nodes; ++i) {
    vectors.row(i) += centres.row(clues[static_cast<std::size_t>(i)]);
  }
  graph.features = std::make_shared<const Matrix>(std::move(vectors));
  return graph;
}

}  // namespace arena
