#pragma once
// A graph whose nodes have classes, some of which are asked for.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tasks/task.hpp"

namespace arena {

struct NodeGraph {
  std::vector<std::int32_t> tokens{};        // of the nodes, or
  std::shared_ptr<const Matrix> features{};  // vectors in their place [nodes, feature_dim]
  std::vector<std::int32_t> classes{};       // kNotScored: not known
  std::vector<std::optional<Split>> splits{};
  std::shared_ptr<const Edges> edges{};

  Index size() const { return static_cast<Index>(classes.size()); }
  /// The whole graph as one sequence, with the labels of one split.
  Sample sample(Split split) const;
};

/// Both directions of each pair of nodes, and each node with itself. Pairs may come twice, in
/// either order.
Edges with_self_loops(Index nodes, std::span<const std::pair<Index, Index>> pairs);

/// Accuracies on the test nodes of all graphs: of the best constant, and of the commonest training
/// label among a node's neighbours (where there is none, the best constant of the training nodes).
std::vector<Baseline> label_baselines(std::span<const NodeGraph> graphs, Index num_classes);

}  // namespace arena
