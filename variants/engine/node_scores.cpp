#include "variants/engine/node_scores.hpp"

#include <algorithm>

#include "harness/layers/row_blocks.hpp"
#include "variants/engine/gathered_rows.hpp"

namespace arena {
namespace {

constexpr float kSlope = 0.2F;
constexpr float kLog2E = 1.4426950408889634F;

}  // namespace

void NodeScores::evaluate(Index query, Numbers keys, float* scores) const {
  for (std::size_t e = 0; e < keys.size(); ++e) {
    const float x = dst_[query] + src_[keys[e]];
    scores[e] = kLog2E * std::max(x, kSlope * x);
  }
}

void NodeScores::add_to_query(Index query, Numbers keys, bool first, float* d_scores) const {
  for (std::size_t e = 0; e < keys.size(); ++e) {
    if (dst_[query] + src_[keys[e]] < 0) d_scores[e] *= kSlope;
  }
  add(0, query, keys, first, d_scores);
}

void NodeScores::add_to_key(Index key, Numbers queries, bool first, const float* d_scores) const {
  add(1, key, queries, first, d_scores);
}

void NodeScores::add(Index end, Index node, Numbers edges, bool first,
                     const float* d_scores) const {
  float sum = first ? 0.0F : row_of(d_nodes_, end)[node];
  for (std::size_t e = 0; e < edges.size(); ++e) sum += d_scores[e];
  row_of(d_nodes_, end)[node] = sum;
}

void project_rows(const Team& team, const ConstView& x, const ConstView& vector, float* to) {
  for_row_blocks(team, x.rows(), [&](Index first, Index count, const Team&) {
    dot_rows(vector.data(), ConsecutiveRows(x.row_slice(first, count)), count, to + first);
  });
}

}  // namespace arena
