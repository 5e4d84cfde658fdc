#include "tasks/graph/node_graph.hpp"

#include <algorithm>

namespace arena {
namespace {

std::int32_t commonest(const std::vector<Index>& counts) {
  return static_cast<std::int32_t>(std::ranges::max_element(counts) - counts.begin());
}

bool has_label(const NodeGraph& graph, std::size_t node, Split split) {
  return graph.splits[node] == split && graph.classes[node] != kNotScored;
}

/// How often each class is the label of a split's nodes.
std::vector<Index> class_counts(std::span<const NodeGraph> graphs, Index num_classes, Split split) {
  std::vector<Index> counts(static_cast<std::size_t>(num_classes), 0);
  for (const NodeGraph& graph : graphs) {
    for (std::size_t i = 0; i < graph.classes.size(); ++i) {
      if (has_label(graph, i, split)) ++counts[static_cast<std::size_t>(graph.classes[i])];
    }
  }
  return counts;
}

/// `otherwise` where no neighbour has a training label.
std::int32_t vote_of_neighbours(const NodeGraph& graph, std::size_t node, Index num_classes,
                                std::int32_t otherwise) {
  std::vector<Index> votes(static_cast<std::size_t>(num_classes), 0);
  for (Index e = graph.edges->row_begin[node]; e < graph.edges->row_begin[node + 1]; ++e) {
    const auto other = static_cast<std::size_t>(graph.edges->key[static_cast<std::size_t>(e)]);
    if (!has_label(graph, other, Split::kTrain)) continue;
    ++votes[static_cast<std::size_t>(graph.classes[other])];
  }
  return std::ranges::max(votes) > 0 ? commonest(votes) : otherwise;
}

}  // namespace

Sample NodeGraph::sample(Split split) const {
  Sample result{.tokens = tokens, .features = features, .labels = classes, .edges = edges};
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (splits[i] != split) result.labels[i] = kNotScored;
  }
  return result;
}

Edges with_self_loops(Index nodes, std::span<const std::pair<Index, Index>> pairs) {
  std::vector<std::pair<Index, Index>> both;
  both.reserve(2 * pairs.size() + static_cast<std::size_t>(nodes));
  for (const auto& [i, j] : pairs) {
    both.emplace_back(i, j);
    both.emplace_back(j, i);
  }
  for (Index i = 0; i < nodes; ++i) both.emplace_back(i, i);
  std::ranges::sort(both);
  both.erase(std::unique(both.begin(), both.end()), both.end());
  return make_edges(nodes, nodes, both);
}

std::vector<Baseline> label_baselines(std::span<const NodeGraph> graphs, Index num_classes) {
  const std::vector<Index> test = class_counts(graphs, num_classes, Split::kTest);
  const std::int32_t constant = commonest(class_counts(graphs, num_classes, Split::kTrain));
  Index scored = 0, right = 0;
  for (const NodeGraph& graph : graphs) {
    for (std::size_t i = 0; i < graph.classes.size(); ++i) {
      if (!has_label(graph, i, Split::kTest)) continue;
      ++scored;
      const std::int32_t vote = vote_of_neighbours(graph, i, num_classes, constant);
      right += vote == graph.classes[i] ? 1 : 0;
    }
  }
  const auto share = [&](Index count) {
    return static_cast<double>(count) / static_cast<double>(scored);
  };
  return {{"majority", share(std::ranges::max(test))}, {"neighbours' labels", share(right)}};
}

}  // namespace arena
