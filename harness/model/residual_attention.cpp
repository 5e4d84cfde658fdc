#include "harness/model/residual_attention.hpp"

#include <algorithm>

#include "harness/layers/layer_norm.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/rows.hpp"

namespace arena {
namespace {

// Positions in parameters(): the norm, then those of the attention layer.
constexpr Index kScale = 0;
constexpr Index kShift = 1;
constexpr Index kAttention = 2;

Extents extents_of(const LayerInputs& in) {
  return {in.x.rows(), in.context.empty() ? in.x.rows() : in.context.rows()};
}

Weights attention_weights(const Weights& weights) {
  return weights.part(kAttention, weights.parameters.size() - kAttention);
}

}  // namespace

std::vector<ParameterSpec> ResidualAttention::parameters() const {
  std::vector<ParameterSpec> specs = layer_norm_specs(name_ + ".norm", dim_);
  const std::vector<ParameterSpec> attention = named(attention_->parameters());
  specs.insert(specs.end(), attention.begin(), attention.end());
  return specs;
}

Footprint ResidualAttention::footprint(const Extents& extents, const Call& call) const {
  const Footprint attention = attention_->footprint(extents, call);
  const Index len = extents.query_len;
  const Index rows = stored_bytes<float>(len * dim_);
  const Index statistics = stored_bytes<float>(len * 2);
  return {.frame = statistics + align_up(attention.frame),
          .scratch = std::max({statistics + rows + attention.scratch, 3 * rows + attention.scratch,
                               stored_bytes<float>(2 * row_blocks(len) * dim_) + 3 * rows})};
}

// The frame holds statistics of the norm, then attention's frame.
void ResidualAttention::forward(const Call& call, const LayerInputs& in, const Weights& weights,
                                View y, Frame* frame, const Extras& extras) const {
  const Index len = in.x.rows();
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const View statistics = frame ? frame->matrix(len, 2) : workspace.matrix(len, 2);
  Frame attention_frame =
      frame ? frame->child(align_up(attention_->footprint(extents_of(in), call).frame)) : Frame();
  const View normed = workspace.matrix(len, dim_);
  for_row_blocks(call.team, len, [&](Index first, Index count, const Team&) {
    layer_norm(in.x.row_slice(first, count), weights.parameters[kScale], weights.parameters[kShift],
               settings_.norm_epsilon, normed.row_slice(first, count),
               statistics.row_slice(first, count));
  });
  attention_->forward(call, {normed, in.context}, attention_weights(weights), y,
                      frame ? &attention_frame : nullptr, extras);
  const Dropout dropout = this->dropout(call);
  for_row_blocks(call.team, len, [&](Index first, Index count, const Team&) {
    const View rows = y.row_slice(first, count);
    dropout.add(first, rows, in.x.row_slice(first, count), rows);
  });
}

void ResidualAttention::backward(const Call& call, const LayerInputs& in, const Weights& weights,
                                 float d_auxiliary_loss, const Frame& frame, View d, View d_context,
                                 const Slices& grads) const {
  const Index len = in.x.rows();
  FrameReader reader(frame);
  const ConstView statistics = reader.matrix(len, 2);
  const Frame attention_frame =
      reader.child(align_up(attention_->footprint(extents_of(in), call).frame));
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const View normed = workspace.matrix(len, dim_);
  const View d_normed = workspace.matrix(len, dim_);
  const Dropout dropout = this->dropout(call);
  const View d_attention = dropout.drops() ? workspace.matrix(len, dim_) : d;
  for_row_blocks(call.team, len, [&](Index first, Index count, const Team&) {
    layer_norm_again(in.x.row_slice(first, count), weights.parameters[kScale],
                     weights.parameters[kShift], statistics.row_slice(first, count),
                     normed.row_slice(first, count));
    if (!dropout.drops()) return;
    dropout.copy(first, d.row_slice(first, count), d_attention.row_slice(first, count));
  });
  attention_->backward(call, {normed, in.context}, attention_weights(weights), d_attention,
                       d_auxiliary_loss, attention_frame, {d_normed, d_context},
                       grads.part(kAttention, grads.size() - kAttention));
  norm_backward(call.team, in.x, statistics, weights.parameters, d_normed, d, grads);
}

/// Adds to d_x; the sums of each block of rows are added to grads in order.
void ResidualAttention::norm_backward(const Team& team, ConstView x, ConstView statistics,
                                      const ConstSlices& weights, ConstView d_normed, View d_x,
                                      const Slices& grads) const {
  const WorkspaceScope scope(team.workspace());
  const View sums = team.workspace().matrix(2 * row_blocks(x.rows()), dim_);
  zero_rows(sums);
  for_row_blocks(team, x.rows(), [&](Index first, Index count, const Team&) {
    const View block_sums = sums.row_slice(2 * (first / kRowBlock), 2);
    const View d_rows = d_x.row_slice(first, count);
    layer_norm_backward(x.row_slice(first, count), statistics.row_slice(first, count),
                        weights[kScale], d_normed.row_slice(first, count), d_rows, d_rows,
                        block_sums.row_slice(0, 1), block_sums.row_slice(1, 1));
  });
  for (Index b = 0; b < row_blocks(x.rows()); ++b) {
    grads[kScale].row(0) += sums.row(2 * b);
    grads[kShift].row(0) += sums.row(2 * b + 1);
  }
}

}  // namespace arena
