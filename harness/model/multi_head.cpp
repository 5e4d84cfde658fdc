#include "harness/model/multi_head.hpp"

#include <algorithm>
#include <array>

#include "harness/layers/linear.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/model/heads.hpp"

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
      : head_(std::move(head)), setup_(setup), width_(setup.num_heads * setup.head_dim) {
    const InputNames names = input_names(*head_);
    for (Index slot = 0; slot < kNumInputSlots; ++slot) {
      const std::string& name = names[static_cast<std::size_t>(slot)];
      if (name.empty()) continue;
      inputs_.push_back({slot, static_cast<Index>(parameters_.size())});
      append(parameters_, linear_specs(name, setup.model_dim, width_, Init::xavier()));
    }
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
    Index input_bytes = 0;
    for (const Input& input : inputs_) {
      input_bytes += stored_bytes<float>(rows_of(input.slot, extents) * width_);
    }
    Footprint need{.frame = input_bytes + out_bytes};
    Index head_scratch = 0;
    for (Index h = 0; h < heads; ++h) {
      const Footprint of_head =
          head_->footprint(extents, call_of_head(call, h, call.team, nullptr));
      need.frame += align_up(of_head.frame);
      head_scratch = std::max(head_scratch, of_head.scratch);
    }
    const Index lists = stored_bytes<Frame>(heads) + stored_bytes<float>(heads);
    const auto transposes = static_cast<Index>(inputs_.size()) + 1;
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
  /// An input of the heads, and the position of its projection's weight in parameters(); the bias
  /// is next.
  struct Input {
    Index slot;
    Index weight;
  };
  /// An input whose gradient goes through its transposed weight [width, model_dim].
  struct Source {
    Index slot;
    const float* transposed;
  };
  /// One matrix [len, head_dim] for each head, one below the other: rows of a head lie close
  /// together, so that kernels use all of a cache.
  template <class AnyView>
  struct Stacked {
    AnyView all{};
    Index len = 0;

    AnyView operator[](Index head) const { return all.row_slice(head * len, len); }
  };
  template <class AnyView>
  using StackedInputs = HeadMatrices<Stacked<AnyView>>;

  static bool of_context(Index slot) { return slot == 1 || slot == 2; }
  static Index rows_of(Index slot, const Extents& extents) {
    return of_context(slot) ? extents.key_len : extents.query_len;
  }
  bool listed(Index slot) const {
    return std::ranges::find(inputs_, slot, &Input::slot) != inputs_.end();
  }

  template <class AnyView, class Memory>
  Stacked<AnyView> take_stacked(Memory& memory, Index len) const {
    return {memory.matrix(setup_.num_heads * len, setup_.head_dim), len};
  }
  /// Inputs of all heads, or their gradients, in the order of slots.
  template <class AnyView, class Memory>
  StackedInputs<AnyView> take_inputs(Memory& memory, const Extents& extents) const {
    return head_matrices<Stacked<AnyView>>([&](Index slot) {
      return listed(slot) ? take_stacked<AnyView>(memory, rows_of(slot, extents))
                          : Stacked<AnyView>();
    });
  }

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

  ConstView rows_of_head(const ConstView& transposed_weight, Index head) const {
    return transposed_weight.row_slice(head * setup_.head_dim, setup_.head_dim);
  }
  template <class AnyView>
  AnyView columns_of_head(const AnyView& all, Index head) const {
    return all.column_slice(head * setup_.head_dim, setup_.head_dim);
  }

  template <class AnyView>
  static HeadMatrices<AnyView> of_head(const StackedInputs<AnyView>& all, Index h) {
    return head_matrices<AnyView>([&](Index slot) { return all[slot][h]; });
  }

  void project(const Call& call, const LayerInputs& in, const ConstSlices& weights,
               const StackedInputs<View>& to) const;
  void run_heads(const Call& call, const StackedInputs<ConstView>& in, const Weights& weights,
                 View out, std::span<Frame> frames, const Extras& extras) const;
  void backward_weights(const Team& team, ConstView x, const Stacked<View>& d, View d_weight,
                        View d_bias) const;
  void backward_inputs(const Call& call, const LayerInputs& in, const Weights& weights,
                       const StackedInputs<View>& d, const LayerGrads& d_in) const;
  void backward_source(const Team& team, std::span<const Source> sources,
                       const StackedInputs<View>& d, View d_x) const;

  std::unique_ptr<AttentionHead> head_;
  Setup setup_;
  Index width_;
  std::vector<Input> inputs_;
  Index out_ = 0;    // position of the output projection's weight in parameters()
  Index heads_ = 0;  // and of the heads' own parameters
  std::vector<ParameterSpec> parameters_, buffers_, statistics_;
};

void MultiHead::project(const Call& call, const LayerInputs& in, const ConstSlices& weights,
                        const StackedInputs<View>& to) const {
  for (const bool context : {false, true}) {
    const ConstView source = context && !in.context.empty() ? in.context : in.x;
    for_row_blocks(call.team, source.rows(), [&](Index first, Index count, const Team&) {
      const ConstView rows = source.row_slice(first, count);
      for (const Input& input : inputs_) {
        if (of_context(input.slot) != context) continue;
        for (Index h = 0; h < setup_.num_heads; ++h) {
          linear(rows, columns_of_head(weights[input.weight], h),
                 columns_of_head(weights[input.weight + 1], h),
                 to[input.slot][h].row_slice(first, count));
        }
      }
    });
  }
}

void MultiHead::run_heads(const Call& call, const StackedInputs<ConstView>& in,
                          const Weights& weights, View out, std::span<Frame> frames,
                          const Extras& extras) const {
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
  const auto inputs =
      frame ? take_inputs<View>(*frame, extents) : take_inputs<View>(workspace, extents);
  const View out = frame ? frame->matrix(extents.query_len, width_)
                         : workspace.matrix(extents.query_len, width_);
  project(call, in, weights.parameters, inputs);
  const std::span<Frame> frames =
      frame ? take_head_frames(*frame, extents, call) : std::span<Frame>{};
  run_heads(call, head_matrices<Stacked<ConstView>>([&](Index slot) {
              return Stacked<ConstView>{inputs[slot].all, inputs[slot].len};
            }),
            weights, out, frames, extras);
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
  const auto inputs = take_inputs<ConstView>(reader, extents);
  const ConstView out = reader.matrix(extents.query_len, width_);
  const std::span<Frame> frames = take_head_frames(reader, extents, call);
  const auto d = take_inputs<View>(workspace, extents);
  const auto d_out = take_stacked<View>(workspace, extents.query_len);

  const ConstView out_transposed = transposed(workspace, weights, out_);
  for_row_blocks(call.team, in.x.rows(), [&](Index first, Index count, const Team&) {
    for (Index h = 0; h < setup_.num_heads; ++h) {
      linear_backward_input(d_y.row_slice(first, count), columns_of_head(out_transposed, h),
                            d_out[h].row_slice(first, count), Output::kOverwrite);
    }
  });
  linear_backward_weights(call.team, out, d_y, grads[out_], grads[out_ + 1]);

  for_each_head(call.team, any_shared(head_->parameters()), [&](Index h, const Team& team) {
    const HeadOutputGrads d_outputs{.out = d_out[h],
                                    .auxiliary_loss = d_auxiliary_loss,
                                    .forward_out = columns_of_head(out, h)};
    head_->backward(call_of_head(call, h, team, nullptr), of_head(inputs, h),
                    weights_of_head(weights, h), d_outputs, frames[static_cast<std::size_t>(h)],
                    of_head(d, h), part_of_head(grads, heads_, head_->parameters().size(), h));
  });
  backward_inputs(call, in, weights, d, d_in);
  for (const Input& input : inputs_) {
    const bool context = of_context(input.slot) && !in.context.empty();
    backward_weights(call.team, context ? in.context : in.x, d[input.slot], grads[input.weight],
                     grads[input.weight + 1]);
  }
}

void MultiHead::backward_weights(const Team& team, ConstView x, const Stacked<View>& d,
                                 View d_weight, View d_bias) const {
  for (Index h = 0; h < setup_.num_heads; ++h) {
    linear_backward_weights(team, x, d[h], columns_of_head(d_weight, h),
                            columns_of_head(d_bias, h));
  }
}

/// d_x = sum over `sources` and heads of d W^T: each head has its own rows of a transposed weight.
void MultiHead::backward_source(const Team& team, std::span<const Source> sources,
                                const StackedInputs<View>& d, View d_x) const {
  const auto term = [&](std::size_t i, Index h, Index first, Index count) -> Term {
    if (i >= sources.size()) return {ConstView(), ConstView()};
    const ConstView transposed(sources[i].transposed, width_, setup_.model_dim);
    return {d[sources[i].slot][h].row_slice(first, count), rows_of_head(transposed, h)};
  };
  for_row_blocks(team, d_x.rows(), [&](Index first, Index count, const Team&) {
    const View rows = d_x.row_slice(first, count);
    for (Index h = 0; h < setup_.num_heads; ++h) {
      static_assert(kNumInputSlots == 6);
      const std::array terms{term(0, h, first, count), term(1, h, first, count),
                             term(2, h, first, count), term(3, h, first, count),
                             term(4, h, first, count), term(5, h, first, count)};
      multiply(std::span(terms).first(sources.size()),
               {.rows = h > 0 ? ConstView(rows) : ConstView()}, rows);
    }
  });
}

/// Gradients of keys and values go to the context where there is one.
void MultiHead::backward_inputs(const Call& call, const LayerInputs& in, const Weights& weights,
                                const StackedInputs<View>& d, const LayerGrads& d_in) const {
  const bool self = in.context.empty();
  std::array<Source, kNumInputSlots> sources;
  for (const bool context : {false, true}) {
    std::size_t count = 0;
    for (const Input& input : inputs_) {
      if ((of_context(input.slot) && !self) != context) continue;
      const ConstView weight = transposed(call.team.workspace(), weights, input.weight);
      sources[count++] = {input.slot, weight.data()};
    }
    const View d_source = context ? d_in.context : d_in.x;
    if (!d_source.empty()) backward_source(call.team, std::span(sources).first(count), d, d_source);
  }
}

}  // namespace

std::unique_ptr<AttentionLayer> make_multi_head(std::unique_ptr<AttentionHead> head,
                                                const Setup& setup) {
  return std::make_unique<MultiHead>(std::move(head), setup);
}

}  // namespace arena
