#include "harness/model/feed_forward.hpp"

#include <algorithm>

#include "harness/layers/activation.hpp"
#include "harness/layers/layer_norm.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/rows.hpp"

namespace arena {
namespace {

enum Parameter : Index { kScale, kShift, kInWeight, kInBias, kOutWeight, kOutBias };

/// Rows that backward holds at once: one block, or enough to share among all workers.
Index rows_at_once(const Team& team, Index len) {
  const Index blocks = team.size() == 1 ? 1 : 4 * team.size();
  return std::min(blocks, row_blocks(len)) * kRowBlock;
}

}  // namespace

/// What backward holds for some rows, until the gradients of the weights are taken from them.
struct FeedForward::Rows {
  View normed, d_out;     // [rows, dim]
  View active, d_hidden;  // [rows, hidden]
};

/// What all blocks of one backward pass share.
struct FeedForward::Pass {
  ConstView x, d_y, statistics, hidden, in_transposed, out_transposed;
  const ConstSlices& weights;
  Masks masks;
  View d_x;
};

std::vector<ParameterSpec> FeedForward::specs() const {
  std::vector<ParameterSpec> specs = layer_norm_specs("feed_forward.norm", dim_);
  for (const auto& part :
       {linear_specs("feed_forward.in", dim_, settings_.hidden, Init::xavier()),
        linear_specs("feed_forward.out", settings_.hidden, dim_, Init::xavier())}) {
    specs.insert(specs.end(), part.begin(), part.end());
  }
  return specs;
}

Footprint FeedForward::footprint(Index len, const Team& team) const {
  const auto rows = [](Index count, Index width) { return stored_bytes<float>(count * width); };
  const Index at_once = rows_at_once(team, len);
  const Index forward =
      2 * rows(kRowBlock, settings_.hidden) + rows(kRowBlock, dim_) + rows(len, 2);
  const Index backward = 2 * rows(dim_, settings_.hidden) + 2 * rows(at_once, dim_) +
                         2 * rows(at_once, settings_.hidden) + rows(2 * at_once / kRowBlock, dim_) +
                         rows(kRowBlock, dim_);
  return {.frame = rows(len, 2) + rows(len, settings_.hidden),
          .scratch = std::max(forward, backward)};
}

FeedForward::Masks FeedForward::masks(const Call& call) const {
  const RandomKey key = call.key.fold("feed_forward.dropout");
  const double rate = call.training ? settings_.dropout : 0;
  return {Dropout(key.fold(std::uint64_t{0}), rate, settings_.hidden),
          Dropout(key.fold(std::uint64_t{1}), rate, dim_)};
}

void FeedForward::forward(const Call& call, ConstView x, const Weights& all_weights, View y,
                          Frame* frame) const {
  const ConstSlices& weights = all_weights.parameters;
  const Masks masks = this->masks(call);
  const WorkspaceScope scope(call.team.workspace());
  const View statistics =
      frame ? frame->matrix(x.rows(), 2) : call.team.workspace().matrix(x.rows(), 2);
  const View kept = frame ? frame->matrix(x.rows(), settings_.hidden) : View();
  for_row_blocks(call.team, x.rows(), [&](Index first, Index count, const Team& worker) {
    const WorkspaceScope block_scope(worker.workspace());
    const ConstView x_rows = x.row_slice(first, count);
    const View y_rows = y.row_slice(first, count);
    const View normed = worker.workspace().matrix(count, dim_);
    const View hidden = kept.empty() ? worker.workspace().matrix(count, settings_.hidden)
                                     : kept.row_slice(first, count);
    const View active = worker.workspace().matrix(count, settings_.hidden);
    layer_norm(x_rows, weights[kScale], weights[kShift], settings_.norm_epsilon, normed,
               statistics.row_slice(first, count));
    linear(normed, weights[kInWeight], weights[kInBias], hidden);
    gelu(hidden, active);
    masks.hidden.apply(first, active);
    const Term out{active, weights[kOutWeight]};
    if (masks.out.drops()) {
      multiply(std::span(&out, 1), {.bias = weights[kOutBias]}, normed);
      masks.out.add(first, normed, x_rows, y_rows);
    } else {
      multiply(std::span(&out, 1), {.bias = weights[kOutBias], .rows = x_rows}, y_rows);
    }
  });
}

FeedForward::Rows FeedForward::take_rows(Workspace& workspace, Index count) const {
  return {workspace.matrix(count, dim_), workspace.matrix(count, dim_),
          workspace.matrix(count, settings_.hidden), workspace.matrix(count, settings_.hidden)};
}

void FeedForward::backward(const Call& call, ConstView x, const Weights& weights, ConstView d_y,
                           FrameReader& frame, View d_x, const Slices& grads) const {
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const Index len = x.rows();
  const ConstView statistics = frame.matrix(len, 2);
  const ConstView hidden = frame.matrix(len, settings_.hidden);
  const Pass pass{.x = x,
                  .d_y = d_y,
                  .statistics = statistics,
                  .hidden = hidden,
                  .in_transposed = transposed(workspace, weights, kInWeight),
                  .out_transposed = transposed(workspace, weights, kOutWeight),
                  .weights = weights.parameters,
                  .masks = masks(call),
                  .d_x = d_x};
  const Index at_once = rows_at_once(call.team, len);
  const Rows all = take_rows(workspace, at_once);
  const View norm_sums = workspace.matrix(2 * at_once / kRowBlock, dim_);
  for (Index first = 0; first < len; first += at_once) {
    const Index count = std::min(at_once, len - first);
    zero_rows(norm_sums);
    const Rows rows{all.normed.row_slice(0, count), all.d_out.row_slice(0, count),
                    all.active.row_slice(0, count), all.d_hidden.row_slice(0, count)};
    for_row_blocks(call.team, count, [&](Index begin, Index size, const Team& worker) {
      const Rows part{rows.normed.row_slice(begin, size), rows.d_out.row_slice(begin, size),
                      rows.active.row_slice(begin, size), rows.d_hidden.row_slice(begin, size)};
      backward_block(pass, first + begin, size, part,
                     norm_sums.row_slice(2 * (begin / kRowBlock), 2), worker.workspace());
    });
    const ConstView d_out =
        pass.masks.out.drops() ? ConstView(rows.d_out) : d_y.row_slice(first, count);
    linear_backward_weights(call.team, rows.active, d_out, grads[kOutWeight], grads[kOutBias]);
    linear_backward_weights(call.team, rows.normed, rows.d_hidden, grads[kInWeight],
                            grads[kInBias]);
    for (Index b = 0; b < row_blocks(count); ++b) {
      grads[kScale].row(0) += norm_sums.row(2 * b);
      grads[kShift].row(0) += norm_sums.row(2 * b + 1);
    }
  }
}

void FeedForward::backward_block(const Pass& pass, Index first, Index count, const Rows& rows,
                                 View norm_sums, Workspace& workspace) const {
  const WorkspaceScope scope(workspace);
  const ConstView x = pass.x.row_slice(first, count);
  const ConstView d_y = pass.d_y.row_slice(first, count);
  const ConstView statistics = pass.statistics.row_slice(first, count);
  const View d_x = pass.d_x.row_slice(first, count);
  const View d_normed = workspace.matrix(count, dim_);
  const bool drops = pass.masks.out.drops();
  if (drops) pass.masks.out.copy(first, d_y, rows.d_out);
  linear_backward_input(drops ? ConstView(rows.d_out) : d_y, pass.out_transposed, rows.d_hidden,
                        Output::kOverwrite);
  gelu_backward(pass.hidden.row_slice(first, count), rows.d_hidden, rows.active, rows.d_hidden);
  pass.masks.hidden.apply_to_both(first, rows.active, rows.d_hidden);
  linear_backward_input(rows.d_hidden, pass.in_transposed, d_normed, Output::kOverwrite);
  layer_norm_again(x, pass.weights[kScale], pass.weights[kShift], statistics, rows.normed);
  layer_norm_backward(x, statistics, pass.weights[kScale], d_normed, d_y, d_x,
                      norm_sums.row_slice(0, 1), norm_sums.row_slice(1, 1));
}

}  // namespace arena
