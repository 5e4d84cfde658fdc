#pragma once
// Softmax attention along edges: each query sees the keys of its edges only, and costs what these
// cost.
//
//   out_i = sum over edges e = (i, j) of p_e value_j,  p_e = exp(s_e - log_sum_exp_i);
//   a row without edges: out = 0, log_sum_exp = -inf
//   d_s_e = p_e (<d_out_i, value_j> - <d_out_i, out_i> + d_log_sum_exp_i),
//   d_value_j = sum over edges e = (i, j) of p_e d_out_i
//
// With factors f_e of the edges (dropout), p_e f_e stands in place of p_e where values are summed:
//   out_i = sum of p_e f_e value_j,  d_s_e = p_e (f_e <d_out_i, value_j> - <d_out_i, out_i> + ...)
//
// Backward goes over the rows of the edges, where it leaves p_e and d_s_e, then over the columns:
// each sum has one owner and one order, so results do not depend on the number of threads. Both
// passes are shared out in pieces of about as many edges.

#include "harness/layers/product.hpp"
#include "variants/attention.hpp"

namespace arena {

/// The edges of a call. Throws Error: Failure::kUnsupported where it has none, else where they are
/// not of these extents.
const Edges& edges_of(const Call& call, const Extents& extents, const char* variant);

/// Of keys or queries.
using Numbers = std::span<const std::int32_t>;

/// What an edge's score is made of. Calls come from several threads, for at most kEdgeChunk edges.
class EdgeScores {
 public:
  virtual ~EdgeScores() = default;
  /// scores[e] of the edges (query, keys[e]), times log2(e).
  virtual void evaluate(Index query, Numbers keys, float* scores) const = 0;
  /// Adds (where `first`, writes) what these edges give to the gradient of the query. Turns
  /// d_scores into what add_to_key wants.
  virtual void add_to_query(Index query, Numbers keys, bool first, float* d_scores) const = 0;
  /// Adds (where `first`, writes) what the edges (queries[e], key) give to the gradient of the key,
  /// whose d_value is complete then.
  virtual void add_to_key(Index key, Numbers queries, bool first, const float* d_scores) const = 0;
};

constexpr Output adding_unless(bool first) {
  return first ? Output::kOverwrite : Output::kAdd;
}

constexpr Index kEdgeChunk = 128;

/// What forward leaves for backward, [2, query_len], in units of log2: each row's largest score,
/// and log2 of its sum over it.
constexpr Index sparse_statistics_bytes(Index query_len) {
  return stored_bytes<float>(2 * query_len);
}

/// Writes outputs (log_sum_exp where given) and, where not empty, statistics. `factors` of the
/// edges, in the order of edges.key, may be null: 1.
void sparse_forward(const Team& team, const Edges& edges, const EdgeScores& scores,
                    const ConstView& value, HeadOutputs outputs, View statistics,
                    const float* factors = nullptr);

/// Overwrites d_value and has `scores` write the rest, for every query and key, those without edges
/// too.
void sparse_backward(const Team& team, const Edges& edges, const EdgeScores& scores,
                     const ConstView& value, const HeadOutputGrads& d_outputs,
                     const ConstView& statistics, View d_value, const float* factors = nullptr);

/// Bytes that backward takes of the caller's workspace.
constexpr Index sparse_scratch_bytes(Index edge_count) {
  return stored_bytes<float>(2 * edge_count);
}

}  // namespace arena
