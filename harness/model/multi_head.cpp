#include "harness/model/multi_head.hpp"

#include <algorithm>
#include <array>

#include "harness/layers/linear.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/model/head_projections.hpp"

namespace arena {
namespace {

void append(std::vector<ParameterSpec>& to, std::vector<ParameterSpec> specs) {
  for (ParameterSpec& spec : specs) to.push_back(std::move(spec));
}

std::vector<ParameterSpec> for_all_heads(std::span<const ParameterSpec> specs, Index num_heads) {
  std::vector<ParameterSpec> result;
  for (Index h = 0; h < num_heads; ++h) append(result, specs_of_head(specs, h));
  return result;
}

bool any_shared(std::span<const ParameterSpec> specs) {
  return std::ranges::any_of(
      specs, [](const ParameterSpec& spec) { return spec.sharing != Sharing::kHead; });
}

/// Slices of one head inside those of the layer; absent slices stay absent.
template <class SomeSlices>
SomeSlices part_of_head(const SomeSlices& all, Index first, std::size_t count, Index head) {
  const auto per_head = static_cast<Index>(count);
  return all.present() ? all.part(first + head * per_head, per_head) : SomeSlices{};
}

class MultiHead final : public AttentionLayer {
 public:
  MultiHead(std::unique_ptr<AttentionHead> head, const Setup& setup)
      : head_(std::move(head)),
        setup_(setup),
        width_(setup.num_heads * setup.head_dim),
        inputs_(*head_, setup, parameters_) {
    out_ = static_cast<Index>(parameters_.size());
    append(parameters_, linear_specs("out", width_, setup.model_dim, Init::xavier()));
    heads_ = static_cast<Index>(parameters_.size());
    append(parameters_, for_all_heads(head_->parameters(), setup.num_heads));
    buffers_ = for_all_heads(head_->buffers(), setup.num_heads);
    statistics_ = for_all_heads(head_->statistics(), setup.num_heads);
  }

  std::span<const ParameterSpec> parameters() const override { return parameters_; }
  std::span<const ParameterSpec> buffers() const override { return buffers_; }
  std::span<const ParameterSpec> statistics() const override { return statistics_; }

  void update(Slices buffers, ConstSlices statistics, RandomKey key, Index step) const override {
    for (Index h = 0; h < setup_.num_heads; ++h) {
      head_->update(part_of_head(buffers, 0, head_->buffers().size(), h),
                    part_of_head(statistics, 0, head_->statistics().size(), h),
                    key.fold(static_cast<std::uint64_t>(h)), step);
    }
  }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const Index heads = setup_.num_heads;
    const Index out_bytes = stored_bytes<float>(extents.query_len * width_);
    const Index input_bytes = inputs_.bytes(extents);
    Footprint need{.frame = input_bytes + out_bytes};
    Index head_scratch = 0;
    for (Index h = 0; h < heads; ++h) {
      const Footprint of_head =
          head_->footprint(extents, call_of_head(call, h, call.team, nullptr));
      need.frame += align_up(of_head.frame);
      head_scratch = std::max(head_scratch, of_head.scratch);
    }
    const Index lists = stored_bytes<Frame>(heads) + stored_bytes<float>(heads);
    const Index transposes = inputs_.count() + 1;
    const Index forward = lists + input_bytes + out_bytes;
    const Index backward = forward + transposes * stored_bytes<float>(setup_.model_dim * width_);
    need.scratch = backward + head_scratch;
    return need;
  }

  void forward(const Call& call, const LayerInputs& in, const Weights& weights, View y,
               Frame* frame, const Extras& extras) const override;
  void backward(const Call& call, const LayerInputs& in, const Weights& weights, ConstView d_y,
                float d_auxiliary_loss, const Frame& frame, LayerGrads d_in,
                Slices grads) const override;

 private:
  static Extents extents_of(const LayerInputs& in) {
    return {in.x.rows(), in.context.empty() ? in.x.rows() : in.context.rows()};
  }

  Weights weights_of_head(const Weights& weights, Index head) const {
    return {part_of_head(weights.parameters, heads_, head_->parameters().size(), head),
            part_of_head(weights.buffers, 0, head_->buffers().size(), head),
            part_of_head(weights.transposed, heads_, head_->parameters().size(), head)};
  }

  /// One frame for each head, cut from what `memory` has left.
  template <class Memory>
  std::span<Frame> take_head_frames(Memory& memory, const Extents& extents,
                                    const Call& call) const {
    const std::span<Frame> frames = call.team.workspace().take<Frame>(setup_.num_heads);
    for (Index h = 0; h < setup_.num_heads; ++h) {
      const Footprint need = head_->footprint(extents, call_of_head(call, h, call.team, nullptr));
      frames[static_cast<std::size_t>(h)] = memory.child(align_up(need.frame));
    }
    return frames;
  }

  /// body(head, its team): in parallel, or one after another where they write to the same slice.
  template <class Body>
  void for_each_head(const Team& team, bool shared, Body&& body) const {
    if (!shared) return team.for_each(setup_.num_heads, body);
    for (Index h = 0; h < setup_.num_heads; ++h) body(h, team);
  }

  /// The part of one head in what is stacked.
  template <class AnyView>
  HeadMatrices<AnyView> of_head(const HeadMatrices<AnyView>& all, Index h) const {
    const Heads stacked(setup_.num_heads, HeadLayout::kStacked);
    return head_matrices<AnyView>([&](Index slot) { return stacked.part(all[slot], h); });
  }
  /// And in what lies side by side.
  template <class AnyView>
  AnyView columns_of_head(const AnyView& all, Index h) const {
    return Heads(setup_.num_heads).part(all, h);
  }

  void run_heads(const Call& call, const HeadInputs& in, const Weights& weights, View out,
                 std::span<Frame> frames, const Extras& extras) const;

  std::unique_ptr<AttentionHead> head_;
  Setup setup_;
  Index width_;
  std::vector<ParameterSpec> parameters_, buffers_, statistics_;
  HeadProjections inputs_;  // its parameters come first
  Index out_ = 0;           // position of the output projection's weight in parameters()
  Index heads_ = 0;         // and of the heads' own parameters
};

void MultiHead::run_heads(const Call& call, const HeadInputs& in, const Weights& weights, View out,
                          std::span<Frame> frames, const Extras& extras) const {
  const std::span<float> losses = call.team.workspace().take<float>(setup_.num_heads);
  std::ranges::fill(losses, 0.0F);
  std::vector<Plan> plans(extras.plan ? static_cast<std::size_t>(setup_.num_heads) : 0);
  const bool shared = any_shared(head_->statistics()) && extras.statistics.present();
  for_each_head(call.team, shared, [&](Index h, const Team& team) {
    const auto i = static_cast<std::size_t>(h);
    const Extras head_extras{
        .statistics = part_of_head(extras.statistics, 0, head_->statistics().size(), h),
        .auxiliary_loss = &losses[i],
        .plan = plans.empty() ? nullptr : &plans[i]};
    const Plan frozen = call.plan ? plan_of_head(*call.plan, h) : Plan();
    head_->forward(call_of_head(call, h, team, frozen.empty() ? nullptr : &frozen), of_head(in, h),
                   weights_of_head(weights, h), {.out = columns_of_head(out, h)},
                   frames.empty() ? nullptr : &frames[i], head_extras);
  });
  for (std::size_t h = 0; h < plans.size(); ++h) {
    add_plan_of_head(*extras.plan, static_cast<Index>(h), plans[h]);
  }
  if (extras.auxiliary_loss) {
    *extras.auxiliary_loss = 0;
    for (const float loss : losses) *extras.auxiliary_loss += loss;
  }
}

void MultiHead::forward(const Call& call, const LayerInputs& in, const Weights& weights, View y,
                        Frame* frame, const Extras& extras) const {
  check(!call.state && !extras.state, "attention around single heads hands on no state");
  const Extents extents = extents_of(in);
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const HeadMatrices<View> inputs =
      frame ? inputs_.take<View>(*frame, extents) : inputs_.take<View>(workspace, extents);
  const View out = frame ? frame->matrix(extents.query_len, width_)
                         : workspace.matrix(extents.query_len, width_);
  inputs_.forward(call.team, in, weights.parameters, inputs);
  const std::span<Frame> frames =
      frame ? take_head_frames(*frame, extents, call) : std::span<Frame>{};
  run_heads(call, head_matrices<ConstView>([&](Index slot) { return inputs[slot]; }), weights, out,
            frames, extras);
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    linear(out.row_slice(first, count), weights.parameters[out_], weights.parameters[out_ + 1],
           y.row_slice(first, count));
  });
}

void MultiHead::backward(const Call& call, const LayerInputs& in, const Weights& weights,
                         ConstView d_y, float d_auxiliary_loss, const Frame& frame, LayerGrads d_in,
                         Slices grads) const {
  const Extents extents = extents_of(in);
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  FrameReader reader(frame);
  const auto inputs = inputs_.take<ConstView>(reader, extents);
  const ConstView out = reader.matrix(extents.query_len, width_);
  const std::span<Frame> frames = take_head_frames(reader, extents, call);
  const auto d = inputs_.take<View>(workspace, extents);
  const View d_out = workspace.matrix(setup_.num_heads * extents.query_len, setup_.head_dim);
  const Heads stacked(setup_.num_heads, HeadLayout::kStacked);

  const ConstView out_transposed = transposed(workspace, weights, out_);
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team& worker) {
    Products products(worker, d_y.row_slice(first, count));
    for (Index h = 0; h < setup_.num_heads; ++h) {
      products.add(
          {columns_of_head(out_transposed, h), {}, stacked.part(d_out, h).row_slice(first, count)});
    }
  });
  linear_backward_weights(call.team, out, d_y, grads[out_], grads[out_ + 1]);

  for_each_head(call.team, any_shared(head_->parameters()), [&](Index h, const Team& team) {
    const HeadOutputGrads d_outputs{.out = stacked.part(d_out, h),
                                    .auxiliary_loss = d_auxiliary_loss,
                                    .forward_out = columns_of_head(out, h)};
    head_->backward(call_of_head(call, h, team, nullptr), of_head(inputs, h),
                    weights_of_head(weights, h), d_outputs, frames[static_cast<std::size_t>(h)],
                    of_head(d, h), part_of_head(grads, heads_, head_->parameters().size(), h));
  });
  inputs_.backward(call.team, in, weights, d, d_in, grads);
}

}  // namespace

std::unique_ptr<AttentionLayer> make_multi_head(std::unique_ptr<AttentionHead> head,
                                                const Setup& setup) {
  return std::make_unique<MultiHead>(std::move(head), setup);
}

}  // namespace arena
