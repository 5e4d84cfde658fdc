#pragma once
// Exact softmax attention over a tile mask: online softmax forward, recomputing backward.
//
//   out_i = sum over seen j of p_ij value_j,  p_ij = exp(s_ij - log_sum_exp_i),
//   s_ij = scale <query_i, key_j>;  a row that sees no key: out = 0, log_sum_exp = -inf
//   d_s = p * (<d_out_i, value_j> - <d_out_i, out_i> + d_log_sum_exp_i)
//
// Time follows what the mask covers; memory is O(query_len head_dim) in backward, constant in
// forward. Results do not depend on the number of threads. Any lengths and any head_dim from 1.

#include <functional>
#include <limits>

#include "harness/layers/product.hpp"
#include "variants/attention.hpp"
#include "variants/engine/rows_ahead.hpp"
#include "variants/engine/tile_mask.hpp"

namespace arena {

/// Gives one thing after another, null after the last. Each stays until the call after the next.
template <class T>
using Series = std::function<const T*()>;

/// What forward leaves for backward, [2, query_len], in units of log2: a reference near each row's
/// largest score, and log2 of the row sum over it. p = 2^(s log2(e) - reference - log2_sum) keeps
/// its accuracy at large scores, where one rounded log-sum-exp would not.
/// The reference of a row that has seen no key.
constexpr float kNoReference = std::numeric_limits<float>::lowest();
constexpr Index softmax_statistics_bytes(Index query_len) {
  return stored_bytes<float>(2 * query_len);
}

/// Statistics of queries `step` columns apart, from the first of `all` on.
template <class AnyView>
struct StatisticsOf {
  AnyView all{};
  Index step = 1;

  bool empty() const { return all.empty(); }
  auto& reference(Index query) const { return at(0, query); }
  auto& log2_sum(Index query) const { return at(1, query); }

 private:
  auto& at(Index row, Index query) const {
    AnyView rows = all;
    return rows.data()[row * rows.outerStride() + query * step];
  }
};
using Statistics = StatisticsOf<View>;
using ConstStatistics = StatisticsOf<ConstView>;

/// Writes outputs (log_sum_exp where given) and, where not empty, statistics. In parallel over
/// query tiles.
void softmax_forward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                     HeadOutputs outputs, View statistics);

/// One of several softmaxes.
struct SoftmaxProblem {
  HeadInputs in;
  const TileMask* mask;
  HeadOutputs outputs;
  Statistics statistics;
};

/// softmax_forward, or with kAdd going on from what outputs and statistics hold, the softmax over
/// other keys of the same queries, which it merges with that over these.
void softmax_forward_into(const Team& team, const SoftmaxProblem& problem, float scale,
                          Output output);
/// The same of several, by the caller one after another, each on the heels of the one before: fast
/// for small ones. They have rows of out of their own, as many columns, and none more queries than
/// the first (else std::logic_error).
void softmax_forward_each(Workspace& workspace, const Series<SoftmaxProblem>& problems, float scale,
                          Output output);

/// Overwrites d_in. In parallel over chunks of keys, whose d_query parts are added in order.
void softmax_backward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                      const HeadOutputGrads& d_outputs, const ConstView& statistics,
                      HeadGrads d_in);

/// The same, or adding to d_in, while rows that are needed next are fetched. Of a softmax over
/// several sets of keys each set is a call of its own, with the statistics and outputs of the
/// whole: no other rule is needed.
void softmax_backward_into(const Team& team, const HeadInputs& in, float scale,
                           const TileMask& mask, const HeadOutputGrads& d_outputs,
                           const ConstStatistics& statistics, HeadGrads d_in, Output output,
                           const RowsAhead& ahead);

/// Keys per chunk of backward.
Index softmax_chunk_len(Index key_len);
/// The largest number of queries that one chunk of backward reaches, at most query_len.
Index softmax_chunk_reach(const TileMask& mask, const Extents& extents);

/// Bytes of scratch that one call takes on its workers, at most.
struct SoftmaxScratch {
  Index caller = 0;  // worker 0
  Index total = 0;   // all workers
};
SoftmaxScratch softmax_forward_scratch(const Extents& extents, Index head_dim, Index workers);
SoftmaxScratch softmax_backward_scratch(const Extents& extents, Index head_dim, Index chunk_reach,
                                        Index workers);

}  // namespace arena
