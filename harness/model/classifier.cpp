#include "harness/model/classifier.hpp"

#include <algorithm>
#include <array>

#include "harness/layers/activation.hpp"
#include "harness/layers/layer_norm.hpp"
#include "harness/layers/pooling.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/rows.hpp"

namespace arena {
namespace {

enum Parameter : Index { kScale, kShift, kHiddenWeight, kHiddenBias, kOutWeight, kOutBias };

}  // namespace

/// What all blocks of one call share; d_x is empty in evaluation.
struct Classifier::Pass {
  Workspace& workspace;
  ConstView x;
  std::span<const std::int32_t> labels;
  const ConstSlices& weights;
  float loss_scale;
  View d_x;
  const Slices& grads;
  ConstView hidden_transposed, out_transposed;

  bool backward() const { return !d_x.empty(); }
};

std::vector<ParameterSpec> Classifier::specs() const {
  std::vector<ParameterSpec> specs = layer_norm_specs("norm", settings_.dim);
  for (const auto& part :
       {linear_specs("classifier.hidden", settings_.dim, settings_.hidden, Init::xavier()),
        linear_specs("classifier.out", settings_.hidden, settings_.num_classes, Init::xavier())}) {
    specs.insert(specs.end(), part.begin(), part.end());
  }
  return specs;
}

LossSum Classifier::run(const Team& team, ConstView x, std::span<const std::int32_t> labels,
                        const Weights& weights, float loss_scale, std::span<std::uint8_t> right,
                        View d_x, const Slices& grads) const {
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  const auto transposed_if_needed = [&](Index parameter) {
    return d_x.empty() ? ConstView() : transposed(workspace, weights, parameter);
  };
  const Pass pass{.workspace = workspace,
                  .x = x,
                  .labels = labels,
                  .weights = weights.parameters,
                  .loss_scale = loss_scale,
                  .d_x = d_x,
                  .grads = grads,
                  .hidden_transposed = transposed_if_needed(kHiddenWeight),
                  .out_transposed = transposed_if_needed(kOutWeight)};
  return settings_.answer == Answer::kSequenceLabel ? score_sequence(pass, right)
                                                    : score_positions(pass, right);
}

/// Mean over positions of the normed rows, then one row through score().
LossSum Classifier::score_sequence(const Pass& pass, std::span<std::uint8_t> right) const {
  const Index len = pass.x.rows();
  const View statistics = pass.workspace.matrix(len, 2);
  const View rows = pass.workspace.matrix(kRowBlock, settings_.dim);
  const View pooled = pass.workspace.matrix(1, settings_.dim);
  const View d_pooled = pass.workspace.matrix(1, settings_.dim);
  zero_rows(pooled);
  for (Index first = 0; first < len; first += kRowBlock) {
    const Index count = std::min(kRowBlock, len - first);
    const View normed = rows.row_slice(0, count);
    layer_norm(pass.x.row_slice(first, count), pass.weights[kScale], pass.weights[kShift],
               settings_.norm_epsilon, normed, statistics.row_slice(first, count));
    mean_pool_block(normed, len, pooled);
  }
  const LossSum sum = score(pass, pooled, pass.labels, right, pass.backward() ? d_pooled : View());
  if (!pass.backward()) return sum;
  for (Index first = 0; first < len; first += kRowBlock) {
    const Index count = std::min(kRowBlock, len - first);
    const View d_normed = rows.row_slice(0, count);
    mean_pool_backward(d_pooled, len, d_normed);
    layer_norm_backward(pass.x.row_slice(first, count), statistics.row_slice(first, count),
                        pass.weights[kScale], d_normed, {}, pass.d_x.row_slice(first, count),
                        pass.grads[kScale], pass.grads[kShift]);
  }
  return sum;
}

/// Scored positions only, gathered kRowBlock at a time.
LossSum Classifier::score_positions(const Pass& pass, std::span<std::uint8_t> right) const {
  const View gathered = pass.workspace.matrix(kRowBlock, settings_.dim);
  const View normed = pass.workspace.matrix(kRowBlock, settings_.dim);
  const View d_normed = pass.workspace.matrix(kRowBlock, settings_.dim);
  const View statistics = pass.workspace.matrix(kRowBlock, 2);
  std::array<Index, kRowBlock> position{};
  std::array<std::int32_t, kRowBlock> label{};
  zero_rows(pass.d_x);
  LossSum total;
  std::size_t scored = 0;
  for (Index next = 0; next < pass.x.rows();) {
    Index count = 0;
    for (; next < pass.x.rows() && count < kRowBlock; ++next) {
      if (pass.labels[static_cast<std::size_t>(next)] == kNotScored) continue;
      position[static_cast<std::size_t>(count)] = next;
      label[static_cast<std::size_t>(count)] = pass.labels[static_cast<std::size_t>(next)];
      copy_rows(pass.x.row_slice(next, 1), gathered.row_slice(count++, 1));
    }
    const View rows = gathered.row_slice(0, count);
    layer_norm(rows, pass.weights[kScale], pass.weights[kShift], settings_.norm_epsilon,
               normed.row_slice(0, count), statistics.row_slice(0, count));
    const LossSum sum = score(
        pass, normed.row_slice(0, count), std::span(label).first(static_cast<std::size_t>(count)),
        right.empty() ? right : right.subspan(scored, static_cast<std::size_t>(count)),
        pass.backward() ? d_normed.row_slice(0, count) : View());
    total.loss += sum.loss;
    total.correct += sum.correct;
    scored += static_cast<std::size_t>(count);
    if (!pass.backward()) continue;
    layer_norm_backward(rows, statistics.row_slice(0, count), pass.weights[kScale],
                        d_normed.row_slice(0, count), {}, d_normed.row_slice(0, count),
                        pass.grads[kScale], pass.grads[kShift]);
    for (Index i = 0; i < count; ++i) {
      copy_rows(d_normed.row_slice(i, 1),
                pass.d_x.row_slice(position[static_cast<std::size_t>(i)], 1));
    }
  }
  return total;
}

/// Linear - ReLU - Linear - loss on at most kRowBlock rows of features, and back.
LossSum Classifier::score(const Pass& pass, ConstView features,
                          std::span<const std::int32_t> labels, std::span<std::uint8_t> right,
                          View d_features) const {
  const WorkspaceScope scope(pass.workspace);
  const View hidden = pass.workspace.matrix(features.rows(), settings_.hidden);
  const View logits = pass.workspace.matrix(features.rows(), settings_.num_classes);
  linear(features, pass.weights[kHiddenWeight], pass.weights[kHiddenBias], hidden);
  relu(hidden);
  linear(hidden, pass.weights[kOutWeight], pass.weights[kOutBias], logits);
  const LossSum sum = cross_entropy(logits, labels, pass.loss_scale, right);
  if (d_features.empty()) return sum;
  const View d_hidden = pass.workspace.matrix(features.rows(), settings_.hidden);
  linear_backward_weights(hidden, logits, pass.grads[kOutWeight], pass.grads[kOutBias]);
  linear_backward_input(logits, pass.out_transposed, d_hidden, Output::kOverwrite);
  relu_backward(hidden, d_hidden);
  linear_backward_weights(features, d_hidden, pass.grads[kHiddenWeight], pass.grads[kHiddenBias]);
  linear_backward_input(d_hidden, pass.hidden_transposed, d_features, Output::kOverwrite);
  return sum;
}

Index count_scored(std::span<const std::int32_t> labels) {
  return static_cast<Index>(labels.size()) - std::ranges::count(labels, kNotScored);
}

}  // namespace arena
