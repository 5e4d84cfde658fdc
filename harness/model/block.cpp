#include "harness/model/block.hpp"

#include <algorithm>

#include "harness/layers/layer_norm.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/rows.hpp"

namespace arena {
namespace {

// Positions in parameters(): norm before attention, the feed-forward part, the attention layer.
constexpr Index kScale = 0;
constexpr Index kShift = 1;
constexpr Index kFeedForward = 2;
constexpr Index kAttention = kFeedForward + FeedForward::kParameters;

class Block final : public Encoder {
 public:
  Block(std::unique_ptr<AttentionLayer> attention, const Setup& setup,
        const BlockSettings& settings)
      : attention_(std::move(attention)),
        feed_forward_(setup.model_dim, settings),
        dim_(setup.model_dim),
        settings_(settings) {
    for (const auto& part : {layer_norm_specs("attention.norm", dim_), feed_forward_.specs(),
                             with_prefix(attention_->parameters(), "attention.")}) {
      parameters_.insert(parameters_.end(), part.begin(), part.end());
    }
    buffers_ = with_prefix(attention_->buffers(), "attention.");
    statistics_ = with_prefix(attention_->statistics(), "attention.");
  }

  std::span<const ParameterSpec> parameters() const override { return parameters_; }
  std::span<const ParameterSpec> buffers() const override { return buffers_; }
  std::span<const ParameterSpec> statistics() const override { return statistics_; }
  void update(Slices buffers, ConstSlices statistics, RandomKey key, Index step) const override {
    attention_->update(buffers, statistics, key, step);
  }

  Footprint footprint(std::span<const Index> lengths, Index context_len,
                      const Call& call) const override;
  void forward(const Call& call, std::span<const ConstView> in, ConstView context,
               const Weights& weights, std::span<View> out, Frame* frame,
               const Extras& extras) const override;
  void backward(const Call& call, std::span<const ConstView> in, ConstView context,
                const Weights& weights, std::span<const ConstView> d_out, float d_auxiliary_loss,
                const Frame& frame, std::span<View> d_in, View d_context,
                Slices grads) const override;

 private:
  Footprint attention_footprint(Index len, Index context_len, const Call& call) const {
    return attention_->footprint({len, context_len > 0 ? context_len : len}, call);
  }
  Dropout attention_dropout(const Call& call) const {
    return {call.key.fold("attention.dropout"), call.training ? settings_.dropout : 0, dim_};
  }
  Weights attention_weights(const Weights& weights) const {
    return weights.part(kAttention, weights.parameters.size() - kAttention);
  }
  void norm_backward(const Team& team, ConstView x, ConstView statistics,
                     const ConstSlices& weights, ConstView d_normed, View d_x,
                     const Slices& grads) const;

  std::unique_ptr<AttentionLayer> attention_;
  FeedForward feed_forward_;
  Index dim_;
  BlockSettings settings_;
  std::vector<ParameterSpec> parameters_, buffers_, statistics_;
};

Footprint Block::footprint(std::span<const Index> lengths, Index context_len,
                           const Call& call) const {
  const Index len = lengths[0];
  const Footprint attention = attention_footprint(len, context_len, call);
  const Footprint feed_forward = feed_forward_.footprint(len, call.team);
  const Index rows = stored_bytes<float>(len * dim_);
  const Index statistics = stored_bytes<float>(len * 2);
  return {.frame = statistics + rows + align_up(attention.frame) + feed_forward.frame,
          .scratch = std::max({statistics + rows + attention.scratch,
                               statistics + feed_forward.scratch, 3 * rows + attention.scratch,
                               stored_bytes<float>(2 * row_blocks(len) * dim_) + 3 * rows})};
}

// The frame holds, in this order: statistics of the norm, x1, attention's frame, feed-forward's.
void Block::forward(const Call& call, std::span<const ConstView> in, ConstView context,
                    const Weights& weights, std::span<View> out, Frame* frame,
                    const Extras& extras) const {
  const ConstView x = in[0];
  const Index len = x.rows();
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const View statistics = frame ? frame->matrix(len, 2) : workspace.matrix(len, 2);
  const View middle = frame ? frame->matrix(len, dim_) : out[0];
  {
    const WorkspaceScope attention_scope(workspace);
    Frame attention_frame =
        frame ? frame->child(align_up(attention_footprint(len, context.rows(), call).frame))
              : Frame();
    const View normed = workspace.matrix(len, dim_);
    for_row_blocks(call.team, len, [&](Index first, Index count, const Team&) {
      layer_norm(x.row_slice(first, count), weights.parameters[kScale], weights.parameters[kShift],
                 settings_.norm_epsilon, normed.row_slice(first, count),
                 statistics.row_slice(first, count));
    });
    attention_->forward(call, {normed, context}, attention_weights(weights), middle,
                        frame ? &attention_frame : nullptr, extras);
  }
  const Dropout dropout = attention_dropout(call);
  for_row_blocks(call.team, len, [&](Index first, Index count, const Team&) {
    const View rows = middle.row_slice(first, count);
    dropout.add(first, rows, x.row_slice(first, count), rows);
  });
  feed_forward_.forward(call, middle, weights.part(kFeedForward, FeedForward::kParameters), out[0],
                        frame);
}

void Block::backward(const Call& call, std::span<const ConstView> in, ConstView context,
                     const Weights& weights, std::span<const ConstView> d_out,
                     float d_auxiliary_loss, const Frame& frame, std::span<View> d_in,
                     View d_context, Slices grads) const {
  const ConstView x = in[0];
  const View d_x = d_in[0];
  const Index len = x.rows();
  FrameReader reader(frame);
  const ConstView statistics = reader.matrix(len, 2);
  const ConstView middle = reader.matrix(len, dim_);
  const Frame attention_frame =
      reader.child(align_up(attention_footprint(len, context.rows(), call).frame));
  feed_forward_.backward(call, middle, weights.part(kFeedForward, FeedForward::kParameters),
                         d_out[0], reader, d_x, grads.part(kFeedForward, FeedForward::kParameters));

  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const View normed = workspace.matrix(len, dim_);
  const View d_normed = workspace.matrix(len, dim_);
  const Dropout dropout = attention_dropout(call);
  const View d_attention = dropout.drops() ? workspace.matrix(len, dim_) : d_x;
  for_row_blocks(call.team, len, [&](Index first, Index count, const Team&) {
    layer_norm_again(x.row_slice(first, count), weights.parameters[kScale],
                     weights.parameters[kShift], statistics.row_slice(first, count),
                     normed.row_slice(first, count));
    if (!dropout.drops()) return;
    dropout.copy(first, d_x.row_slice(first, count), d_attention.row_slice(first, count));
  });
  attention_->backward(call, {normed, context}, attention_weights(weights), d_attention,
                       d_auxiliary_loss, attention_frame, {d_normed, d_context},
                       grads.part(kAttention, grads.size() - kAttention));
  norm_backward(call.team, x, statistics, weights.parameters, d_normed, d_x, grads);
}

/// Adds to d_x; the sums of each block of rows are added to grads in order.
void Block::norm_backward(const Team& team, ConstView x, ConstView statistics,
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

}  // namespace

std::unique_ptr<Encoder> make_block(std::unique_ptr<AttentionLayer> attention, const Setup& setup,
                                    const BlockSettings& settings) {
  return std::make_unique<Block>(std::move(attention), setup, settings);
}

}  // namespace arena
