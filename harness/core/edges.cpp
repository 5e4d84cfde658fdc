#include "harness/core/edges.hpp"

#include <algorithm>

#include "harness/core/check.hpp"

namespace arena {

Edges make_edges(Index query_len, Index key_len, std::span<const std::pair<Index, Index>> pairs) {
  std::vector<std::pair<Index, Index>> sorted(pairs.begin(), pairs.end());
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  check(twice == sorted.end(), "edge ({}, {}) stands twice",
        twice == sorted.end() ? 0 : twice->first, twice == sorted.end() ? 0 : twice->second);
  Edges edges{query_len,
              key_len,
              std::vector<Index>(static_cast<std::size_t>(query_len) + 1, 0),
              {},
              std::vector<Index>(static_cast<std::size_t>(key_len) + 1, 0),
              {},
              {}};
  for (const auto& [i, j] : sorted) {
    check(i >= 0 && i < query_len && j >= 0 && j < key_len,
          "edge ({}, {}) is outside {} queries x {} keys", i, j, query_len, key_len);
    ++edges.row_begin[static_cast<std::size_t>(i) + 1];
    ++edges.column_begin[static_cast<std::size_t>(j) + 1];
    edges.key.push_back(static_cast<std::int32_t>(j));
  }
  for (std::size_t i = 1; i < edges.row_begin.size(); ++i)
    edges.row_begin[i] += edges.row_begin[i - 1];
  for (std::size_t j = 1; j < edges.column_begin.size(); ++j) {
    edges.column_begin[j] += edges.column_begin[j - 1];
  }
  edges.query.resize(sorted.size());
  edges.edge.resize(sorted.size());
  std::vector<Index> next = edges.column_begin;
  for (std::size_t e = 0; e < sorted.size(); ++e) {
    const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(sorted[e].second)]++);
    edges.query[at] = static_cast<std::int32_t>(sorted[e].first);
    edges.edge[at] = static_cast<Index>(e);
  }
  return edges;
}

Edges random_graph(Index nodes, Index degree, RandomKey key) {
  std::vector<std::pair<Index, Index>> pairs;
  pairs.reserve(static_cast<std::size_t>(random_graph_edges(nodes, degree)));
  std::vector<Index> seen_by(static_cast<std::size_t>(nodes), -1);
  for (Index i = 0; i < nodes; ++i) {
    RandomStream stream(key.fold(static_cast<std::uint64_t>(i)));
    Index next = i;
    for (Index count = 0; count < std::min(degree, nodes); ++count) {
      while (seen_by[static_cast<std::size_t>(next)] == i) next = stream.below(nodes);
      seen_by[static_cast<std::size_t>(next)] = i;
      pairs.emplace_back(i, next);
    }
  }
  return make_edges(nodes, nodes, pairs);
}

}  // namespace arena
