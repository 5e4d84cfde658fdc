#include "harness/model/multi_head.hpp"

#include <algorithm>
#include <array>

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
  /// One matrix [len, head_dim] for each head, one below the other: rows of a head lie close
  /// together, so that kernels use all of a cache.
  template <class AnyView>
  struct Heads {
    AnyView all;
    Index len;

    AnyView operator[](Index head) const { return all.row_slice(head * len, len); }
  };
  /// Projected inputs and the heads' outputs, or the gradients of all of them.
  template <class AnyView, class AnyOut>
  struct Projected {
    Heads<AnyView> query, key, value;
    AnyOut out;
  };
  /// Outputs stand side by side in [query_len, width], to be projected together; their gradients
  /// are per head.
  using Gradients = Projected<View, Heads<View>>;

  template <class AnyView, class Memory>
  Heads<AnyView> take_heads(Memory& memory, Index len) const {
    return {memory.matrix(setup_.num_heads * len, setup_.head_dim), len};
  }
  template <class AnyView, class Memory>
  Projected<AnyView, AnyView> take_projected(Memory& memory, const Extents& extents) const {
    return {take_heads<AnyView>(memory, extents.query_len),
            take_heads<AnyView>(memory, extents.key_len),
            take_heads<AnyView>(memory, extents.key_len), memory.matrix(extents.query_len, width_)};
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

  ConstView rows_of_head(const ConstView& transposed_weight, Index head) const {
    return transposed_weight.row_slice(head * setup_.head_dim, setup_.head_dim);
  }
  template <class AnyView>
  AnyView columns_of_head(const AnyView& all, Index head) const {
    return all.column_slice(head * setup_.head_dim, setup_.head_dim);
  }

  template <class AnyView>
  static HeadInputs inputs_of_head(const Projected<AnyView, AnyView>& all, Index h) {
    return {all.query[h], all.key[h], all.value[h]};
  }

  /// to[h] rows [first, first + count) = rows weight + bias, one head's columns at a time.
  void project(ConstView rows, ConstView weight, ConstView bias, const Heads<View>& to,
               Index first) const {
    for (Index h = 0; h < setup_.num_heads; ++h) {
      linear(rows, columns_of_head(weight, h), columns_of_head(bias, h),
             to[h].row_slice(first, rows.rows()));
    }
  }
  void project(const Call& call, const LayerInputs& in, const ConstSlices& weights,
               const Projected<View, View>& to) const;
  void backward_weights(const Team& team, ConstView x, const Heads<View>& d, View d_weight,
                        View d_bias) const;
  void backward_inputs(const Call& call, const LayerInputs& in, const Weights& weights,
                       const Gradients& d, const LayerGrads& d_in) const;

  std::unique_ptr<AttentionHead> head_;
  Setup setup_;
  Index width_;
  std::vector<ParameterSpec> parameters_, buffers_, statistics_;
};

void MultiHead::project(const Call& call, const LayerInputs& in, const ConstSlices& weights,
                        const Projected<View, View>& to) const {
  const ConstView source = in.context.empty() ? in.x : in.context;
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    project(in.x.row_slice(first, count), weights[kQueryWeight], weights[kQueryBias], to.query,
            first);
  });
  for_row_blocks(call.team, source.rows(), [&](Index first, Index count, const Team&) {
    const ConstView rows = source.row_slice(first, count);
    project(rows, weights[kKeyWeight], weights[kKeyBias], to.key, first);
    project(rows, weights[kValueWeight], weights[kValueBias], to.value, first);
  });
}

void MultiHead::forward(const Call& call, const LayerInputs& in, const Weights& weights, View y,
                        Frame* frame, const Extras& extras) const {
  check(!call.state && !extras.state, "attention around single heads hands on no state");
  const Extents extents = extents_of(in);
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const Projected<View, View> all =
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
    head_->forward(head_call, inputs_of_head(all, h), weights_of_head(weights, h),
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
  const auto all = take_projected<ConstView>(reader, extents);
  const std::span<Frame> frames = take_head_frames(reader, extents, call);
  const Gradients d{
      take_heads<View>(workspace, extents.query_len), take_heads<View>(workspace, extents.key_len),
      take_heads<View>(workspace, extents.key_len), take_heads<View>(workspace, extents.query_len)};

  const ConstView out_transposed = transposed(workspace, weights, kOutWeight);
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    for (Index h = 0; h < setup_.num_heads; ++h) {
      linear_backward_input(d_y.row_slice(first, count), columns_of_head(out_transposed, h),
                            d.out[h].row_slice(first, count), Output::kOverwrite);
    }
  });
  linear_backward_weights(call.team, all.out, d_y, grads[kOutWeight], grads[kOutBias]);

  for_each_head(call, any_shared(head_->parameters()), [&](Index h, const Call& head_call) {
    const HeadOutputGrads d_outputs{.out = d.out[h],
                                    .auxiliary_loss = d_auxiliary_loss,
                                    .forward_out = columns_of_head(all.out, h)};
    head_->backward(head_call, inputs_of_head(all, h), weights_of_head(weights, h), d_outputs,
                    frames[static_cast<std::size_t>(h)], {d.query[h], d.key[h], d.value[h]},
                    part_of_head(grads, kHeads, head_->parameters().size(), h));
  });
  backward_inputs(call, in, weights, d, d_in);
  const ConstView source = in.context.empty() ? in.x : in.context;
  backward_weights(call.team, in.x, d.query, grads[kQueryWeight], grads[kQueryBias]);
  backward_weights(call.team, source, d.key, grads[kKeyWeight], grads[kKeyBias]);
  backward_weights(call.team, source, d.value, grads[kValueWeight], grads[kValueBias]);
}

void MultiHead::backward_weights(const Team& team, ConstView x, const Heads<View>& d, View d_weight,
                                 View d_bias) const {
  for (Index h = 0; h < setup_.num_heads; ++h) {
    linear_backward_weights(team, x, d[h], columns_of_head(d_weight, h),
                            columns_of_head(d_bias, h));
  }
}

// d_x = d_query Wq^T (+ d_key Wk^T + d_value Wv^T, which go to the context where there is one),
// summed over heads: each has its own rows of the transposed weights.
void MultiHead::backward_inputs(const Call& call, const LayerInputs& in, const Weights& weights,
                                const Gradients& d, const LayerGrads& d_in) const {
  Workspace& workspace = call.team.workspace();
  const ConstView query = transposed(workspace, weights, kQueryWeight);
  const ConstView key = transposed(workspace, weights, kKeyWeight);
  const ConstView value = transposed(workspace, weights, kValueWeight);
  const bool self = in.context.empty();
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    const View rows = d_in.x.row_slice(first, count);
    for (Index h = 0; h < setup_.num_heads; ++h) {
      const std::array terms{
          Term{d.query[h].row_slice(first, count), rows_of_head(query, h)},
          Term{d.key[h].row_slice(first, self ? count : 0), rows_of_head(key, h)},
          Term{d.value[h].row_slice(first, self ? count : 0), rows_of_head(value, h)}};
      multiply(std::span(terms).first(self ? 3 : 1),
               {.rows = h > 0 ? ConstView(rows) : ConstView()}, rows);
    }
  });
  if (self || d_in.context.empty()) return;
  for_row_blocks(call.team, d_in.context.rows(), [&](Index first, Index count, const Team&) {
    const View rows = d_in.context.row_slice(first, count);
    for (Index h = 0; h < setup_.num_heads; ++h) {
      const std::array terms{Term{d.key[h].row_slice(first, count), rows_of_head(key, h)},
                             Term{d.value[h].row_slice(first, count), rows_of_head(value, h)}};
      multiply(terms, {.rows = h > 0 ? ConstView(rows) : ConstView()}, rows);
    }
  });
}

}  // namespace

std::unique_ptr<AttentionLayer> make_multi_head(std::unique_ptr<AttentionHead> head,
                                                const Setup& setup) {
  return std::make_unique<MultiHead>(std::move(head), setup);
}

}  // namespace arena
