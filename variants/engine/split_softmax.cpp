#include "variants/engine/split_softmax.hpp"

#include <algorithm>
#include <cmath>

namespace arena {
namespace {

constexpr Index kPieceLen = 512;  // at least
constexpr Index kMostPieces = 8;

Index piece_count(Index len) {
  return std::clamp(len / kPieceLen, Index{1}, kMostPieces);
}

Range piece_of(Index piece, Index len) {
  const Index count = piece_count(len);
  return {piece * len / count, (piece + 1) * len / count};
}

ConstView rows_of(const ConstView& all, Range rows) {
  return all.empty() ? all : all.row_slice(rows.begin, rows.size());
}

/// Merges partial softmaxes over disjoint keys: outs holds their out one below the other, parts
/// their statistics. References are compared first, so that no large numbers are subtracted late.
void merge(const View& outs, const View& parts, Index count, View out, View statistics) {
  const Index query_len = out.rows();
  for (Index i = 0; i < query_len; ++i) {
    float reference = parts(0, i), sum = 0;
    for (Index p = 1; p < count; ++p) reference = std::max(reference, parts(2 * p, i));
    const auto mass = [&](Index p) {
      return std::exp2(parts(2 * p, i) - reference + parts(2 * p + 1, i));
    };
    for (Index p = 0; p < count; ++p) sum += mass(p);
    out.row(i) = mass(0) / sum * outs.row(i);
    for (Index p = 1; p < count; ++p) out.row(i) += mass(p) / sum * outs.row(p * query_len + i);
    if (statistics.empty()) continue;
    statistics(0, i) = reference;
    statistics(1, i) = std::log2(sum);
  }
}

/// `own` on the caller, and what pieces take inside the engine on each worker.
SoftmaxScratch with_pieces(Index own, bool one_worker_each, Index workers,
                           const SoftmaxScratch& inner) {
  if (!one_worker_each) return {own + inner.caller, own + inner.total};
  return {own + inner.caller, own + workers * inner.caller};
}

}  // namespace

void softmax_forward_few_queries(const Team& team, const HeadInputs& in, float scale, View out,
                                 View statistics) {
  const Index query_len = in.query.rows(), key_len = in.key.rows();
  const Index count = piece_count(key_len);
  const WorkspaceScope scope(team.workspace());
  const View outs = count == 1 ? out : team.workspace().matrix(count * query_len, out.cols());
  const View parts = count == 1 ? statistics : team.workspace().matrix(2 * count, query_len);
  team.for_each(count, [&](Index p, const Team& worker) {
    const Range keys = piece_of(p, key_len);
    softmax_forward(worker, {in.query, rows_of(in.key, keys), rows_of(in.value, keys)}, scale,
                    BandMask::full({query_len, keys.size()}),
                    {.out = outs.row_slice(p * query_len, query_len)},
                    count == 1 ? parts : parts.row_slice(2 * p, 2));
  });
  if (count > 1) merge(outs, parts, count, out, statistics);
}

void softmax_backward_few_keys(const Team& team, const HeadInputs& in, float scale,
                               const HeadOutputGrads& d_outputs, const ConstView& statistics,
                               HeadGrads d_in) {
  const Index query_len = in.query.rows(), key_len = in.key.rows();
  const Index count = piece_count(query_len), width = in.query.cols();
  const WorkspaceScope scope(team.workspace());
  const View d_keys = count == 1 ? d_in.key : team.workspace().matrix(count * key_len, width);
  const View d_values = count == 1 ? d_in.value : team.workspace().matrix(count * key_len, width);
  team.for_each(count, [&](Index p, const Team& worker) {
    const Range rows = piece_of(p, query_len);
    softmax_backward(
        worker, {rows_of(in.query, rows), in.key, in.value}, scale,
        BandMask::full({rows.size(), key_len}),
        {.out = rows_of(d_outputs.out, rows),
         .log_sum_exp = rows_of(d_outputs.log_sum_exp, rows),
         .forward_out = rows_of(d_outputs.forward_out, rows)},
        statistics.column_slice(rows.begin, rows.size()),
        {d_in.query.row_slice(rows.begin, rows.size()), d_keys.row_slice(p * key_len, key_len),
         d_values.row_slice(p * key_len, key_len)});
  });
  if (count == 1) return;
  d_in.key = d_keys.topRows(key_len);
  d_in.value = d_values.topRows(key_len);
  for (Index p = 1; p < count; ++p) {
    d_in.key += d_keys.middleRows(p * key_len, key_len);
    d_in.value += d_values.middleRows(p * key_len, key_len);
  }
}

SoftmaxScratch few_queries_forward_scratch(const Extents& extents, Index head_dim, Index workers) {
  const auto [query_len, key_len] = extents;
  const Index count = piece_count(key_len);
  const bool alone = count >= workers;
  const Extents piece{query_len, (key_len + count - 1) / count};
  const Index own = count == 1 ? 0
                               : stored_bytes<float>(count * query_len * head_dim) +
                                     stored_bytes<float>(2 * count * query_len);
  return with_pieces(own, alone, workers,
                     softmax_forward_scratch(piece, head_dim, alone ? 1 : workers));
}

SoftmaxScratch few_keys_backward_scratch(const Extents& extents, Index head_dim, Index workers) {
  const auto [query_len, key_len] = extents;
  const Index count = piece_count(query_len);
  const bool alone = count >= workers;
  const Extents piece{(query_len + count - 1) / count, key_len};
  const Index own = count == 1 ? 0 : 2 * stored_bytes<float>(count * key_len * head_dim);
  return with_pieces(
      own, alone, workers,
      softmax_backward_scratch(piece, head_dim, piece.query_len, alone ? 1 : workers));
}

}  // namespace arena
