#pragma once
// Planted partitions: random graphs whose nodes have classes, with more edges inside a class than
// between classes, and a clue at each node that often misleads.

#include "harness/core/random.hpp"
#include "tasks/graph/node_graph.hpp"

namespace arena {

struct PlantedPartition {
  Index nodes = 128, classes = 4;  // classes are of equal size, give or take a node
  double inside = 6, outside = 2;  // neighbours of the own class and of others, on average
  double clue = 0.4;               // share of nodes whose clue is their class; others draw any
  Index feature_dim = 0;           // of vectors around a clue's centre; 0: the clue is a token
};

/// Centres of the clues' vectors [classes, feature_dim], standard normal.
Matrix clue_centres(const PlantedPartition& partition, RandomKey key);

/// One graph: half of the nodes are for training, a quarter each for validation and test. Pairs
/// that are drawn twice make one edge, so that small dense graphs have fewer than they should. A
/// vector is its clue's centre and standard normal noise.
NodeGraph draw_graph(const PlantedPartition& partition, const Matrix& centres, RandomKey key);

}  // namespace arena
