#include "harness/model/block.hpp"

#include <algorithm>
#include <array>

#include "harness/model/decoder.hpp"
#include "harness/model/residual_attention.hpp"

namespace arena {
namespace {

/// An attention half and where its values begin among those of the block.
struct Half {
  ResidualAttention attention;
  Index parameters = 0, buffers = 0, statistics = 0;
};

/// At most two halves with attention, of which the last attends to the context where there is one,
/// then the feed-forward half.
class Block final : public Encoder {
 public:
  static constexpr std::size_t kMostHalves = 2;

  Block(std::vector<ResidualAttention> halves, const Setup& setup, const BlockSettings& settings)
      : feed_forward_(setup.model_dim, settings), dim_(setup.model_dim) {
    for (ResidualAttention& half : halves) {
      const Index parameters = append(parameters_, half.parameters());
      const Index buffers = append(buffers_, half.buffers());
      const Index statistics = append(statistics_, half.statistics());
      halves_.push_back({std::move(half), parameters, buffers, statistics});
    }
    feed_forward_parameters_ = append(parameters_, feed_forward_.specs());
  }

  std::span<const ParameterSpec> parameters() const override { return parameters_; }
  std::span<const ParameterSpec> buffers() const override { return buffers_; }
  std::span<const ParameterSpec> statistics() const override { return statistics_; }
  void update(Slices buffers, ConstSlices statistics, RandomKey key, Index step) const override {
    for (std::size_t h = 0; h < halves_.size(); ++h) {
      const AttentionLayer& attention = halves_[h].attention.attention();
      attention.update(part(buffers, halves_[h].buffers, attention.buffers()),
                       part(statistics, halves_[h].statistics, attention.statistics()),
                       h == 0 ? key : key.fold("cross"), step);
    }
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
  static Index append(std::vector<ParameterSpec>& to, std::vector<ParameterSpec> specs) {
    const auto first = static_cast<Index>(to.size());
    std::ranges::move(specs, std::back_inserter(to));
    return first;
  }
  template <class SomeSlices>
  static SomeSlices part(const SomeSlices& all, Index first, std::span<const ParameterSpec> specs) {
    return all.part(first, static_cast<Index>(specs.size()));
  }
  static constexpr Index kNorm = 2;  // its parameters stand before those of the attention layer
  static Index parameter_count(const Half& half) {
    return kNorm + static_cast<Index>(half.attention.attention().parameters().size());
  }

  Weights weights_of(const Half& half, const Weights& all) const {
    Weights weights = all.part(half.parameters, parameter_count(half));
    weights.buffers = part(all.buffers, half.buffers, half.attention.attention().buffers());
    return weights;
  }
  /// Another key for the second half; state and frozen plan are for the first.
  static Call call_of(std::size_t half, const Call& call) {
    if (half == 0) return call;
    Call other = call;
    other.key = call.key.fold("cross");
    other.plan = nullptr;
    other.state = nullptr;
    return other;
  }
  Extras extras_of(std::size_t half, const Extras& all, float& auxiliary_loss) const {
    const Half& owner = halves_[half];
    return {.statistics =
                part(all.statistics, owner.statistics, owner.attention.attention().statistics()),
            .auxiliary_loss = all.auxiliary_loss ? &auxiliary_loss : nullptr,
            .state = half == 0 ? all.state : nullptr,
            .plan = half == 0 ? all.plan : nullptr};
  }
  /// What came out of each half [len, dim].
  using Outs = std::array<const float*, kMostHalves>;
  /// What goes into a half, or behind the last one into the feed-forward half.
  ConstView input(std::size_t half, ConstView x, const Outs& outs) const {
    return half == 0 ? x : ConstView(outs[half - 1], x.rows(), dim_);
  }
  ConstView context_of(std::size_t half, ConstView context) const {
    return half + 1 == halves_.size() ? context : ConstView();
  }
  Extents extents_of(std::size_t half, Index len, Index context_len) const {
    return {len, half + 1 == halves_.size() && context_len > 0 ? context_len : len};
  }

  std::vector<Half> halves_;
  FeedForward feed_forward_;
  Index feed_forward_parameters_ = 0;
  Index dim_;
  std::vector<ParameterSpec> parameters_, buffers_, statistics_;
};

Footprint Block::footprint(std::span<const Index> lengths, Index context_len,
                           const Call& call) const {
  const Index len = lengths[0];
  const Index rows = stored_bytes<float>(len * dim_);
  Footprint need = feed_forward_.footprint(len, call.team);
  for (std::size_t h = 0; h < halves_.size(); ++h) {
    const Footprint half =
        halves_[h].attention.footprint(extents_of(h, len, context_len), call_of(h, call));
    need.frame += half.frame + rows;
    need.scratch = std::max(need.scratch, half.scratch);
  }
  need.scratch += static_cast<Index>(halves_.size() - 1) * rows;
  return need;
}

// The frame holds the frame of each half and what came out of it, then feed-forward's.
void Block::forward(const Call& call, std::span<const ConstView> in, ConstView context,
                    const Weights& weights, std::span<View> out, Frame* frame,
                    const Extras& extras) const {
  const Index len = in[0].rows();
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  if (extras.auxiliary_loss) *extras.auxiliary_loss = 0;
  Outs outs{};
  for (std::size_t h = 0; h < halves_.size(); ++h) {
    const Half& half = halves_[h];
    const Call own = call_of(h, call);
    Frame half_frame =
        frame
            ? frame->child(half.attention.footprint(extents_of(h, len, context.rows()), own).frame)
            : Frame();
    const bool last = h + 1 == halves_.size();
    const View y = frame ? frame->matrix(len, dim_) : last ? out[0] : workspace.matrix(len, dim_);
    float auxiliary_loss = 0;
    half.attention.forward(own, {input(h, in[0], outs), context_of(h, context)},
                           weights_of(half, weights), y, frame ? &half_frame : nullptr,
                           extras_of(h, extras, auxiliary_loss));
    if (extras.auxiliary_loss) *extras.auxiliary_loss += auxiliary_loss;
    outs[h] = y.data();
  }
  const ConstView x = frame ? input(halves_.size(), in[0], outs) : ConstView(out[0]);
  feed_forward_.forward(call, x, weights.part(feed_forward_parameters_, FeedForward::kParameters),
                        out[0], frame);
}

void Block::backward(const Call& call, std::span<const ConstView> in, ConstView context,
                     const Weights& weights, std::span<const ConstView> d_out,
                     float d_auxiliary_loss, const Frame& frame, std::span<View> d_in,
                     View d_context, Slices grads) const {
  const Index len = in[0].rows();
  FrameReader reader(frame);
  std::array<Frame, kMostHalves> half_frames;
  Outs outs{};
  for (std::size_t h = 0; h < halves_.size(); ++h) {
    half_frames[h] = reader.child(
        halves_[h].attention.footprint(extents_of(h, len, context.rows()), call_of(h, call)).frame);
    outs[h] = reader.matrix(len, dim_).data();
  }
  feed_forward_.backward(call, input(halves_.size(), in[0], outs),
                         weights.part(feed_forward_parameters_, FeedForward::kParameters), d_out[0],
                         reader, d_in[0],
                         grads.part(feed_forward_parameters_, FeedForward::kParameters));
  for (std::size_t h = halves_.size(); h-- > 0;) {
    const Half& half = halves_[h];
    half.attention.backward(call_of(h, call), {input(h, in[0], outs), context_of(h, context)},
                            weights_of(half, weights), d_auxiliary_loss, half_frames[h], d_in[0],
                            h + 1 == halves_.size() ? d_context : View(),
                            grads.part(half.parameters, parameter_count(half)));
  }
}

}  // namespace

std::unique_ptr<Encoder> make_block(std::unique_ptr<AttentionLayer> attention, const Setup& setup,
                                    const BlockSettings& settings) {
  std::vector<ResidualAttention> halves;
  halves.emplace_back("attention", std::move(attention), setup.model_dim, settings);
  return std::make_unique<Block>(std::move(halves), setup, settings);
}

std::unique_ptr<Encoder> make_decoder_block(std::unique_ptr<AttentionLayer> attention,
                                            std::unique_ptr<AttentionLayer> cross,
                                            const Setup& setup, const BlockSettings& settings) {
  std::vector<ResidualAttention> halves;
  halves.emplace_back("attention", std::move(attention), setup.model_dim, settings);
  halves.emplace_back("cross", std::move(cross), setup.model_dim, settings);
  return std::make_unique<Block>(std::move(halves), setup, settings);
}

}  // namespace arena
