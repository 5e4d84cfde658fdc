#include "harness/model/multi_head.hpp"

#include <algorithm>

#include "harness/layers/linear.hpp"
#include "harness/layers/row_blocks.hpp"

namespace arena {
namespace {

// Positions in parameters(); the heads' own follow.
enum Parameter : Index {
  kQueryWeight,
  kQueryBias,
  kKeyWeight,
  kKeyBias,
  kValueWeight,
  kValueBias,
  kOutWeight,
  kOutBias,
  kHeads,
};

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
      : head_(std::move(head)), setup_(setup), width_(setup.num_heads * setup.head_dim) {
    append(parameters_, linear_specs("query", setup.model_dim, width_, Init::xavier()));
    append(parameters_, linear_specs("key", setup.model_dim, width_, Init::xavier()));
    append(parameters_, linear_specs("value", setup.model_dim, width_, Init::xavier()));
    append(parameters_, linear_specs("out", width_, setup.model_dim, Init::xavier()));
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
    const Index query_bytes = stored_bytes<float>(extents.query_len * width_);
    const Index key_bytes = stored_bytes<float>(extents.key_len * width_);
    const Index heads = setup_.num_heads;
    Footprint need{.frame = 2 * query_bytes + 2 * key_bytes};
    Index head_scratch = 0;
    for (Index h = 0; h < heads; ++h) {
      const Footprint of_head = head_->footprint(extents, call_of_head(call, h, call.team));
      need.frame += align_up(of_head.frame);
      head_scratch = std::max(head_scratch, of_head.scratch);
    }
    const Index lists = stored_bytes<Frame>(heads) + stored_bytes<float>(heads);
    const Index forward = lists + 2 * query_bytes + 2 * key_bytes;
    const Index backward = lists + 4 * stored_bytes<float>(setup_.model_dim * width_) +
                           2 * query_bytes + 2 * key_bytes;
    need.scratch = std::max(forward, backward) + head_scratch;
    return need;
  }

  void forward(const Call& call, const LayerInputs& in, const Weights& weights, View y,
               Frame* frame, const Extras& extras) const override;
  void backward(const Call& call, const LayerInputs& in, const Weights& weights, ConstView d_y,
                float d_auxiliary_loss, const Frame& frame, LayerGrads d_in,
                Slices grads) const override;

 private:
  /// Projected inputs and the heads' joined output, each [len, width].
  template <class AnyView>
  struct Projected {
    AnyView query, key, value, out;
  };

  template <class AnyView, class Memory>
  Projected<AnyView> take_projected(Memory& memory, const Extents& extents) const {
    return {memory.matrix(extents.query_len, width_), memory.matrix(extents.key_len, width_),
            memory.matrix(extents.key_len, width_), memory.matrix(extents.query_len, width_)};
  }

  static Extents extents_of(const LayerInputs& in) {
    return {in.x.rows(), in.context.empty() ? in.x.rows() : in.context.rows()};
  }

  static Call call_of_head(const Call& call, Index head, const Team& team) {
    Call result = call;
    result.team = team;
    result.head = head;
    result.key = call.key.fold(static_cast<std::uint64_t>(head));
    return result;
  }

  Weights weights_of_head(const Weights& weights, Index head) const {
    return {part_of_head(weights.parameters, kHeads, head_->parameters().size(), head),
            part_of_head(weights.buffers, 0, head_->buffers().size(), head)};
  }

  /// One frame for each head, cut from what `memory` has left.
  template <class Memory>
  std::span<Frame> take_head_frames(Memory& memory, const Extents& extents,
                                    const Call& call) const {
    const std::span<Frame> frames = call.team.workspace().take<Frame>(setup_.num_heads);
    for (Index h = 0; h < setup_.num_heads; ++h) {
      const Footprint need = head_->footprint(extents, call_of_head(call, h, call.team));
      frames[static_cast<std::size_t>(h)] = memory.child(align_up(need.frame));
    }
    return frames;
  }

  /// body(head, its call): in parallel, or one after another where they write to the same slice.
  template <class Body>
  void for_each_head(const Call& call, bool shared, Body&& body) const {
    if (shared) {
      for (Index h = 0; h < setup_.num_heads; ++h) body(h, call_of_head(call, h, call.team));
    } else {
      call.team.for_each(setup_.num_heads, [&](Index h, const Team& worker) {
        body(h, call_of_head(call, h, worker));
      });
    }
  }

  template <class AnyView>
  AnyView columns_of_head(const AnyView& all, Index head) const {
    return all.column_slice(head * setup_.head_dim, setup_.head_dim);
  }

  HeadInputs inputs_of_head(const Projected<ConstView>& all, Index h) const {
    return {columns_of_head(all.query, h), columns_of_head(all.key, h),
            columns_of_head(all.value, h)};
  }

  void project(const Call& call, const LayerInputs& in, const ConstSlices& weights,
               const Projected<View>& to) const;
  void backward_inputs(const Call& call, const LayerInputs& in, const ConstSlices& weights,
                       const Projected<View>& d, const LayerGrads& d_in, const Slices& grads) const;

  std::unique_ptr<AttentionHead> head_;
  Setup setup_;
  Index width_;
  std::vector<ParameterSpec> parameters_, buffers_, statistics_;
};

void MultiHead::project(const Call& call, const LayerInputs& in, const ConstSlices& weights,
                        const Projected<View>& to) const {
  const ConstView source = in.context.empty() ? in.x : in.context;
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    linear(in.x.row_slice(first, count), weights[kQueryWeight], weights[kQueryBias],
           to.query.row_slice(first, count));
  });
  for_row_blocks(call.team, source.rows(), [&](Index first, Index count, const Team&) {
    const ConstView rows = source.row_slice(first, count);
    linear(rows, weights[kKeyWeight], weights[kKeyBias], to.key.row_slice(first, count));
    linear(rows, weights[kValueWeight], weights[kValueBias], to.value.row_slice(first, count));
  });
}

void MultiHead::forward(const Call& call, const LayerInputs& in, const Weights& weights, View y,
                        Frame* frame, const Extras& extras) const {
  check(!call.state && !extras.state, "attention around single heads hands on no state");
  const Extents extents = extents_of(in);
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const Projected<View> all =
      frame ? take_projected<View>(*frame, extents) : take_projected<View>(workspace, extents);
  project(call, in, weights.parameters, all);
  const std::span<Frame> frames =
      frame ? take_head_frames(*frame, extents, call) : std::span<Frame>{};
  const std::span<float> losses = workspace.take<float>(setup_.num_heads);
  std::ranges::fill(losses, 0.0F);

  const bool shared = any_shared(head_->statistics()) && extras.statistics.present();
  for_each_head(call, shared, [&](Index h, const Call& head_call) {
    const auto i = static_cast<std::size_t>(h);
    const Extras head_extras{
        .statistics = part_of_head(extras.statistics, 0, head_->statistics().size(), h),
        .auxiliary_loss = &losses[i]};
    const Projected<ConstView> inputs{all.query, all.key, all.value, all.out};
    head_->forward(head_call, inputs_of_head(inputs, h), weights_of_head(weights, h),
                   {.out = columns_of_head(all.out, h)}, frame ? &frames[i] : nullptr, head_extras);
  });
  if (extras.auxiliary_loss) {
    *extras.auxiliary_loss = 0;
    for (const float loss : losses) *extras.auxiliary_loss += loss;
  }
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    linear(all.out.row_slice(first, count), weights.parameters[kOutWeight],
           weights.parameters[kOutBias], y.row_slice(first, count));
  });
}

void MultiHead::backward(const Call& call, const LayerInputs& in, const Weights& weights,
                         ConstView d_y, float d_auxiliary_loss, const Frame& frame, LayerGrads d_in,
                         Slices grads) const {
  const Extents extents = extents_of(in);
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  FrameReader reader(frame);
  const Projected<ConstView> all = take_projected<ConstView>(reader, extents);
  const std::span<Frame> frames = take_head_frames(reader, extents, call);
  const Projected<View> d = take_projected<View>(workspace, extents);

  const View out_transposed = transposed(workspace, weights.parameters[kOutWeight]);
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    linear_backward_input(d_y.row_slice(first, count), out_transposed,
                          d.out.row_slice(first, count), Output::kOverwrite);
  });
  linear_backward_weights(call.team, all.out, d_y, grads[kOutWeight], grads[kOutBias]);

  for_each_head(call, any_shared(head_->parameters()), [&](Index h, const Call& head_call) {
    const HeadOutputGrads d_outputs{.out = columns_of_head(d.out, h),
                                    .auxiliary_loss = d_auxiliary_loss,
                                    .forward_out = columns_of_head(all.out, h)};
    const HeadGrads d_head{columns_of_head(d.query, h), columns_of_head(d.key, h),
                           columns_of_head(d.value, h)};
    head_->backward(head_call, inputs_of_head(all, h), weights_of_head(weights, h), d_outputs,
                    frames[static_cast<std::size_t>(h)], d_head,
                    part_of_head(grads, kHeads, head_->parameters().size(), h));
  });
  backward_inputs(call, in, weights.parameters, d, d_in, grads);
}

// d_x = d_query Wq^T (+ d_key Wk^T + d_value Wv^T, which go to the context where there is one).
void MultiHead::backward_inputs(const Call& call, const LayerInputs& in, const ConstSlices& weights,
                                const Projected<View>& d, const LayerGrads& d_in,
                                const Slices& grads) const {
  Workspace& workspace = call.team.workspace();
  const View query_transposed = transposed(workspace, weights[kQueryWeight]);
  const View key_transposed = transposed(workspace, weights[kKeyWeight]);
  const View value_transposed = transposed(workspace, weights[kValueWeight]);
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    linear_backward_input(d.query.row_slice(first, count), query_transposed,
                          d_in.x.row_slice(first, count), Output::kOverwrite);
  });
  const bool self = in.context.empty();
  const View d_source = self ? d_in.x : d_in.context;
  if (!d_source.empty()) {
    for_row_blocks(call.team, d_source.rows(), [&](Index first, Index count, const Team&) {
      const View rows = d_source.row_slice(first, count);
      linear_backward_input(d.key.row_slice(first, count), key_transposed, rows,
                            self ? Output::kAdd : Output::kOverwrite);
      linear_backward_input(d.value.row_slice(first, count), value_transposed, rows, Output::kAdd);
    });
  }
  const ConstView source = self ? in.x : in.context;
  linear_backward_weights(call.team, in.x, d.query, grads[kQueryWeight], grads[kQueryBias]);
  linear_backward_weights(call.team, source, d.key, grads[kKeyWeight], grads[kKeyBias]);
  linear_backward_weights(call.team, source, d.value, grads[kValueWeight], grads[kValueBias]);
}

}  // namespace

std::unique_ptr<AttentionLayer> make_multi_head(std::unique_ptr<AttentionHead> head,
                                                const Setup& setup) {
  return std::make_unique<MultiHead>(std::move(head), setup);
}

}  // namespace arena
