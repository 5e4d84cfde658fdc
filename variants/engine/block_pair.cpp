#include "variants/engine/block_pair.hpp"

#include <algorithm>

#include "harness/layers/rows.hpp"

namespace arena {
namespace {

Extents own_extents(const BlockPair& pair) {
  return {pair.rows, pair.rows};
}
Extents other_extents(const BlockPair& pair) {
  return {pair.rows, pair.other};
}
/// The other block comes first, so that causality is aligned at the bottom right.
Extents joined_extents(const BlockPair& pair) {
  return {pair.rows, pair.other + pair.rows};
}

BandMask mask(const BlockPair& pair, const Extents& extents) {
  return pair.causal ? BandMask::causal(extents) : BandMask::full(extents);
}

View joined(Workspace& workspace, const ConstView& above, const ConstView& below) {
  const View rows = workspace.matrix(above.rows() + below.rows(), below.cols());
  copy_rows(above, rows.row_slice(0, above.rows()));
  copy_rows(below, rows.row_slice(above.rows(), below.rows()));
  return rows;
}

Index matrix_bytes(const BlockPair& pair, Index rows) {
  return stored_bytes<float>(rows * pair.head_dim);
}

SoftmaxScratch largest(Index own_bytes, const SoftmaxScratch& a, const SoftmaxScratch& b) {
  return {own_bytes + std::max(a.caller, b.caller), own_bytes + std::max(a.total, b.total)};
}

void joined_backward(const Team& team, const BlockPair& pair, const PairInputs& in,
                     const PairSaved<ConstView>& saved, const HeadOutputGrads& d_outputs,
                     const PairGrads& grads) {
  Workspace& workspace = team.workspace();
  const View key = joined(workspace, in.other_key, in.key);
  const View value = joined(workspace, in.other_value, in.value);
  const View d_key = workspace.matrix(key.rows(), key.cols());
  const View d_value = workspace.matrix(key.rows(), key.cols());
  softmax_backward(team, {in.query, key, value}, pair.scale, mask(pair, joined_extents(pair)),
                   d_outputs, saved.statistics, {grads.query, d_key, d_value});
  copy_rows(d_key.row_slice(0, pair.other), grads.other_key);
  copy_rows(d_value.row_slice(0, pair.other), grads.other_value);
  add_rows(d_key.row_slice(pair.other, pair.rows), grads.key);
  add_rows(d_value.row_slice(pair.other, pair.rows), grads.value);
}

/// Each softmax wants its own part of out: that of the block itself is what the other leaves.
void added_backward(const Team& team, const BlockPair& pair, const PairInputs& in,
                    const PairSaved<ConstView>& saved, const HeadOutputGrads& d_outputs,
                    const PairGrads& grads) {
  Workspace& workspace = team.workspace();
  const auto take = [&](Index rows) { return workspace.matrix(rows, pair.head_dim); };
  const View d_other_key = take(pair.other), d_other_value = take(pair.other);
  softmax_backward(team, {in.query, in.other_key, in.other_value}, pair.scale,
                   BandMask::full(other_extents(pair)),
                   {.out = d_outputs.out, .forward_out = saved.other_out}, saved.statistics,
                   {grads.query, d_other_key, d_other_value});
  copy_rows(d_other_key, grads.other_key);
  copy_rows(d_other_value, grads.other_value);
  View own_out = take(pair.rows);
  own_out = d_outputs.forward_out - saved.other_out;
  const View d_query = take(pair.rows), d_key = take(pair.rows), d_value = take(pair.rows);
  softmax_backward(team, {in.query, in.key, in.value}, pair.scale, mask(pair, own_extents(pair)),
                   {.out = d_outputs.out, .forward_out = own_out}, saved.own_statistics,
                   {d_query, d_key, d_value});
  add_rows(d_query, grads.query);
  add_rows(d_key, grads.key);
  add_rows(d_value, grads.value);
}

}  // namespace

Index BlockPair::pairs() const {
  return rows * other + (causal ? rows * (rows + 1) / 2 : rows * rows);
}

SoftmaxScratch BlockPair::forward_scratch(Index workers) const {
  if (!added) {
    const SoftmaxScratch softmax =
        softmax_forward_scratch(joined_extents(*this), head_dim, workers);
    return largest(2 * matrix_bytes(*this, other + rows), softmax, softmax);
  }
  return largest(matrix_bytes(*this, rows),
                 softmax_forward_scratch(other_extents(*this), head_dim, workers),
                 softmax_forward_scratch(own_extents(*this), head_dim, workers));
}

SoftmaxScratch BlockPair::backward_scratch(Index workers) const {
  const auto softmax = [&](const Extents& extents) {
    return softmax_backward_scratch(extents, head_dim, rows, workers);
  };
  if (!added) {
    const SoftmaxScratch one = softmax(joined_extents(*this));
    return largest(4 * matrix_bytes(*this, other + rows), one, one);
  }
  const Index late = 4 * matrix_bytes(*this, rows);
  const SoftmaxScratch first = softmax(other_extents(*this)), second = softmax(own_extents(*this));
  return largest(2 * matrix_bytes(*this, other), first,
                 {late + second.caller, late + second.total});
}

void pair_forward(const Team& team, const BlockPair& pair, const PairInputs& in,
                  const PairSaved<View>& saved, View out) {
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  if (!pair.added) {
    const View key = joined(workspace, in.other_key, in.key);
    const View value = joined(workspace, in.other_value, in.value);
    softmax_forward(team, {in.query, key, value}, pair.scale, mask(pair, joined_extents(pair)),
                    {.out = out}, saved.statistics);
    return;
  }
  const View other_out =
      saved.other_out.empty() ? workspace.matrix(pair.rows, pair.head_dim) : saved.other_out;
  softmax_forward(team, {in.query, in.other_key, in.other_value}, pair.scale,
                  BandMask::full(other_extents(pair)), {.out = other_out}, saved.statistics);
  softmax_forward(team, {in.query, in.key, in.value}, pair.scale, mask(pair, own_extents(pair)),
                  {.out = out}, saved.own_statistics);
  add_rows(other_out, out);
}

void pair_backward(const Team& team, const BlockPair& pair, const PairInputs& in,
                   const PairSaved<ConstView>& saved, const HeadOutputGrads& d_outputs,
                   const PairGrads& grads) {
  const WorkspaceScope scope(team.workspace());
  const auto backward = pair.added ? added_backward : joined_backward;
  backward(team, pair, in, saved, d_outputs, grads);
}

}  // namespace arena
