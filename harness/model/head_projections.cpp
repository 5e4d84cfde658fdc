#include "harness/model/head_projections.hpp"

#include <array>

#include "harness/layers/linear.hpp"
#include "harness/layers/row_blocks.hpp"

namespace arena {

HeadProjections::HeadProjections(const AttentionHead& head, const Setup& setup,
                                 std::vector<ParameterSpec>& parameters)
    : setup_(setup), columns_(setup.num_heads), stacked_(setup.num_heads, HeadLayout::kStacked) {
  const InputNames names = input_names(head);
  const Index width = setup.num_heads * setup.head_dim;
  for (Index slot = 0; slot < kNumInputSlots; ++slot) {
    const std::string& name = names[static_cast<std::size_t>(slot)];
    if (name.empty()) continue;
    inputs_.push_back({slot, static_cast<Index>(parameters.size())});
    std::ranges::move(linear_specs(name, setup.model_dim, width, Init::xavier()),
                      std::back_inserter(parameters));
  }
}

Index HeadProjections::bytes(const Extents& extents) const {
  Index sum = 0;
  for (const Input& input : inputs_) {
    sum += stored_bytes<float>(rows_of(input.slot, extents) * setup_.num_heads * setup_.head_dim);
  }
  return sum;
}

void HeadProjections::forward(const Team& team, const LayerInputs& in, const ConstSlices& weights,
                              const HeadMatrices<View>& to) const {
  for (const bool context : {false, true}) {
    const ConstView source = context ? in.context : in.x;
    if (source.empty()) continue;
    for_row_blocks(team, source.rows(), [&](Index first, Index count, const Team& worker) {
      Products products(worker, source.row_slice(first, count));
      for (const Input& input : inputs_) {
        if (from_context(in, input.slot) != context) continue;
        for (Index h = 0; h < setup_.num_heads; ++h) {
          products.add({columns_.part(weights[input.weight], h),
                        {.bias = columns_.part(weights[input.weight + 1], h)},
                        stacked_.part(to[input.slot], h).row_slice(first, count)});
        }
      }
    });
  }
}

void HeadProjections::backward(const Team& team, const LayerInputs& in, const Weights& weights,
                               const HeadMatrices<View>& d, const LayerGrads& d_in,
                               Slices grads) const {
  backward_inputs(team, in, weights, d, d_in);
  for (const bool context : {false, true}) {
    const ConstView source = context ? in.context : in.x;
    if (source.empty()) continue;
    Products products(team, transpose(source));
    for (const Input& input : inputs_) {
      if (from_context(in, input.slot) != context) continue;
      for (Index h = 0; h < setup_.num_heads; ++h) {
        const ConstView d_y = stacked_.part(d[input.slot], h);
        const View d_weight = columns_.part(grads[input.weight], h);
        products.add({d_y, {.rows = d_weight}, d_weight});
        add_column_sums(d_y, columns_.part(grads[input.weight + 1], h));
      }
    }
  }
}

/// Gradients of keys and values go to the context where there is one.
void HeadProjections::backward_inputs(const Team& team, const LayerInputs& in,
                                      const Weights& weights, const HeadMatrices<View>& d,
                                      const LayerGrads& d_in) const {
  std::array<Source, kNumInputSlots> sources;
  for (const bool context : {false, true}) {
    std::size_t count = 0;
    for (const Input& input : inputs_) {
      if (from_context(in, input.slot) != context) continue;
      const ConstView weight = transposed(team.workspace(), weights, input.weight);
      sources[count++] = {input.slot, weight.data()};
    }
    const View d_source = context ? d_in.context : d_in.x;
    if (!d_source.empty()) backward_source(team, std::span(sources).first(count), d, d_source);
  }
}

/// d_x = sum over `sources` and heads of d W^T: each head has its own rows of a transposed weight.
void HeadProjections::backward_source(const Team& team, std::span<const Source> sources,
                                      const HeadMatrices<View>& d, View d_x) const {
  const Index width = setup_.num_heads * setup_.head_dim;
  for_row_blocks(team, d_x.rows(), [&](Index first, Index count, const Team&) {
    const View rows = d_x.row_slice(first, count);
    for (Index h = 0; h < setup_.num_heads; ++h) {
      InplaceVector<Term, kNumInputSlots> terms;
      for (const auto& [slot, transposed] : sources) {
        terms.push_back({stacked_.part(d[slot], h).row_slice(first, count),
                         stacked_.part(ConstView(transposed, width, setup_.model_dim), h)});
      }
      multiply(terms, {.rows = h > 0 ? ConstView(rows) : ConstView()}, rows);
    }
  });
}

}  // namespace arena
