#pragma once
// Softmax attention in parts: each part is some queries against some keys under a mask, and every
// query's softmax is over the keys of all parts that it is in (a pair in two parts counts twice):
//
//   log_sum_exp = log sum_r e^(log_sum_exp_r),  out = sum_r e^(log_sum_exp_r - log_sum_exp) out_r
//   backward: each part's own, with the statistics and outputs of the whole; gradients add up
//
// Parts with the queries and keys in another order than they lie in come out of strided views or
// copies, so what a part costs is what its mask covers.

#include "harness/layers/product.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {

/// Rows of a matrix in an order: runs of `run` rows, `step` apart, from `first`, and `inner` apart
/// in a run; or those listed.
struct RowSet {
  Index first = 0;
  Index count = 0;
  Index step = 1;
  Index run = 1;
  Index inner = 1;
  const std::int32_t* listed = nullptr;

  static RowSet all(Index length) { return {.count = length}; }
  /// Residue classes: first, first + classes, ..., `each` rows of them, then as many of the next
  /// class, and so on for `number` classes.
  static RowSet residues(Index first, Index number, Index classes, Index each) {
    if (number == 1) return {.first = first, .count = each, .step = classes};
    return {.first = first, .count = number * each, .step = 1, .run = each, .inner = classes};
  }
  /// The last `run` rows of each block of `block` rows, of those below `length`.
  static RowSet block_ends(Index run, Index block, Index length) {
    const Index rest = std::max(Index{0}, length % block - (block - run));
    return {.first = block - run, .count = length / block * run + rest, .step = block, .run = run};
  }
  static RowSet list(std::span<const std::int32_t> rows) {
    return {.count = static_cast<Index>(rows.size()), .listed = rows.data()};
  }

  /// Rows of which only the number is known, to ask for scratch.
  static RowSet any(Index count) { return {.count = count, .run = 0}; }

  Index at(Index i) const { return listed ? listed[i] : first + i / run * step + i % run * inner; }
  bool is_view() const { return !listed && run == 1; }
};

/// Rows of in.query (and of all that has query_len rows) and rows of in.key and in.value, numbered
/// by the mask in the order of the sets. A set has no row twice. With `inverse_norms` [key_len] the
/// keys, which must be listed, are the rows of in.key times these, and d_in.key is by in.key where
/// inverse_norms[j] = (|key_j|^2 + constant)^(-1/2).
struct PartRows {
  RowSet queries, keys;
  const float* inverse_norms = nullptr;

  Extents extents() const { return {queries.count, keys.count}; }
  bool are_views() const { return queries.is_view() && keys.is_view(); }
};

struct SoftmaxPart {
  PartRows rows;
  const TileMask* mask;
};

/// As softmax_forward_into of these rows. statistics [2, query_len] may be empty with kOverwrite
/// only.
void softmax_part_forward(const Team& team, const HeadInputs& in, float scale, const PartRows& rows,
                          const TileMask& mask, HeadOutputs outputs, View statistics,
                          Output output);
/// Of one part after another: where rows are views, those of all or of none, and there is one
/// worker alone, as softmax_forward_each.
void softmax_parts_forward(const Team& team, const HeadInputs& in, float scale,
                           const Series<SoftmaxPart>& parts, HeadOutputs outputs, View statistics,
                           Output output);

/// As softmax_backward_into of these rows.
void softmax_part_backward(const Team& team, const HeadInputs& in, float scale,
                           const PartRows& rows, const TileMask& mask,
                           const HeadOutputGrads& d_outputs, const ConstView& statistics,
                           HeadGrads d_in, Output output);
/// Of one part after another, while rows of the next are fetched.
void softmax_parts_backward(const Team& team, const HeadInputs& in, float scale,
                            const Series<SoftmaxPart>& parts, const HeadOutputGrads& d_outputs,
                            const ConstView& statistics, HeadGrads d_in, Output output);

/// What outputs and statistics hold before any part was added: no key seen.
void clear_softmax(HeadOutputs outputs, View statistics);

/// What a part works on beside inputs, out and their gradients.
struct PartExtras {
  bool statistics = true;    // forward may do without
  bool log_sum_exp = false;  // and its gradient
};
SoftmaxScratch softmax_part_forward_scratch(const PartRows& rows, Index head_dim, Index workers,
                                            const PartExtras& extras = {});
SoftmaxScratch softmax_part_backward_scratch(const PartRows& rows, Index head_dim,
                                             Index chunk_reach, Index workers,
                                             const PartExtras& extras = {});

/// That of two calls one after the other.
inline SoftmaxScratch larger(const SoftmaxScratch& a, const SoftmaxScratch& b) {
  return {std::max(a.caller, b.caller), std::max(a.total, b.total)};
}

/// That of a call by one that takes so many bytes itself.
inline SoftmaxScratch added(Index own, const SoftmaxScratch& call) {
  return {own + call.caller, own + call.total};
}

/// The scratch of `count` calls by Team::for_each on `workers`, where one call takes at most
/// scratch(its own number of workers).
template <class Scratch>
SoftmaxScratch scratch_of_each(Index count, Index workers, const Scratch& scratch) {
  if (workers == 1 || count < workers) return scratch(workers);
  const SoftmaxScratch one = scratch(Index{1});
  return {one.caller, workers * one.total};
}

}  // namespace arena
