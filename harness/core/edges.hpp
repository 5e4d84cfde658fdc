#pragma once
// Which query may see which key, as compressed sparse rows and their transpose.

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "harness/core/matrix.hpp"
#include "harness/core/random.hpp"

namespace arena {

/// Keys of query i: key[row_begin[i] .. row_begin[i+1]), ascending. Queries of key j:
/// query[column_begin[j] ..), with edge[] their positions in `key`.
struct Edges {
  Index query_len = 0;
  Index key_len = 0;
  std::vector<Index> row_begin;
  std::vector<std::int32_t> key;
  std::vector<Index> column_begin;
  std::vector<std::int32_t> query;
  std::vector<Index> edge;

  Index count() const { return static_cast<Index>(key.size()); }
};

/// Builds both orientations from (query, key) pairs in any order. Throws Error naming a pair that
/// is out of range or stands twice.
Edges make_edges(Index query_len, Index key_len, std::span<const std::pair<Index, Index>> pairs);

/// Node i sees itself and other nodes drawn from `key`, `degree` in all (at most all there are).
Edges random_graph(Index nodes, Index degree, RandomKey key);
/// Its number of edges.
constexpr Index random_graph_edges(Index nodes, Index degree) {
  return nodes * std::min(degree, nodes);
}

/// All pairs (i, j) with allowed(i, j).
template <class Allowed>
Edges edges_where(Index query_len, Index key_len, Allowed&& allowed) {
  std::vector<std::pair<Index, Index>> pairs;
  for (Index i = 0; i < query_len; ++i) {
    for (Index j = 0; j < key_len; ++j) {
      if (allowed(i, j)) pairs.emplace_back(i, j);
    }
  }
  return make_edges(query_len, key_len, pairs);
}

}  // namespace arena
