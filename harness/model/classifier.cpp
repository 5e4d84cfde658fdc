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

/// Those of both weights; empty in evaluation.
struct Classifier::Transposes {
  ConstView hidden, out;
};

/// In the team's workspace.
struct Classifier::Scored {
  View hidden, logits;
};

std::vector<ParameterSpec> Classifier::specs() const {
  std::vector<ParameterSpec> specs = layer_norm_specs("norm", settings_.dim);
  for (const auto& part :
       {linear_specs("classifier.hidden", (settings_.pairs ? 4 : 1) * settings_.dim,
                     settings_.hidden, Init::xavier()),
        linear_specs("classifier.out", settings_.hidden, settings_.num_classes, Init::xavier())}) {
    specs.insert(specs.end(), part.begin(), part.end());
  }
  return specs;
}

Classifier::Transposes Classifier::transpose_weights(const Request& request) const {
  if (!request.training) return {};
  Workspace& workspace = request.team.workspace();
  return {transposed(workspace, request.weights, kHiddenWeight),
          transposed(workspace, request.weights, kOutWeight)};
}

LossSum Classifier::run(const Request& request, ConstView x, View d_x) const {
  const WorkspaceScope scope(request.team.workspace());
  if (settings_.answer != Answer::kSequenceLabel) return score_positions(request, x, d_x);
  const Pooled pooled = pool(request, x);
  const LossSum sum = score(request, transpose_weights(request), pooled.mean, request.labels,
                            request.right, pooled.d_mean);
  if (request.training) pool_backward(request, x, pooled, d_x);
  return sum;
}

/// Mean over positions of the normed rows.
Classifier::Pooled Classifier::pool(const Request& request, ConstView x) const {
  Workspace& workspace = request.team.workspace();
  const Pooled pooled{.mean = workspace.matrix(1, settings_.dim),
                      .d_mean = workspace.matrix(1, settings_.dim),
                      .statistics = workspace.matrix(x.rows(), 2)};
  const WorkspaceScope scope(workspace);
  const View rows = workspace.matrix(kRowBlock, settings_.dim);
  zero_rows(pooled.mean);
  for (Index first = 0; first < x.rows(); first += kRowBlock) {
    const Index count = std::min(kRowBlock, x.rows() - first);
    const View normed = rows.row_slice(0, count);
    layer_norm(x.row_slice(first, count), request.weights.parameters[kScale],
               request.weights.parameters[kShift], settings_.norm_epsilon, normed,
               pooled.statistics.row_slice(first, count));
    mean_pool_block(normed, x.rows(), pooled.mean);
  }
  return pooled;
}

void Classifier::pool_backward(const Request& request, ConstView x, const Pooled& pooled,
                               View d_x) const {
  Workspace& workspace = request.team.workspace();
  const WorkspaceScope scope(workspace);
  const View rows = workspace.matrix(kRowBlock, settings_.dim);
  for (Index first = 0; first < x.rows(); first += kRowBlock) {
    const Index count = std::min(kRowBlock, x.rows() - first);
    const View d_normed = rows.row_slice(0, count);
    mean_pool_backward(pooled.d_mean, x.rows(), d_normed);
    layer_norm_backward(x.row_slice(first, count), pooled.statistics.row_slice(first, count),
                        request.weights.parameters[kScale], d_normed, {},
                        d_x.row_slice(first, count), request.grads[kScale], request.grads[kShift]);
  }
}

/// features = [a, b, a * b, a - b] of the means a and b, so
/// d_a = d_1 + d_3 * b + d_4 and d_b = d_2 + d_3 * a - d_4.
LossSum Classifier::run_pair(const Request& request, const Pooled& first,
                             const Pooled& second) const {
  const Index dim = settings_.dim;
  Workspace& workspace = request.team.workspace();
  const WorkspaceScope scope(workspace);
  const View features = workspace.matrix(1, 4 * dim);
  const View d_features = workspace.matrix(1, 4 * dim);
  const auto a = first.mean.row(0).array();
  const auto b = second.mean.row(0).array();
  features.column_slice(0, dim).row(0) = a;
  features.column_slice(dim, dim).row(0) = b;
  features.column_slice(2 * dim, dim).row(0) = a * b;
  features.column_slice(3 * dim, dim).row(0) = a - b;
  const LossSum sum = score(request, transpose_weights(request), features, request.labels,
                            request.right, d_features);
  if (!request.training) return sum;
  const auto d = [&](Index part) {
    return d_features.column_slice(part * dim, dim).row(0).array();
  };
  View(first.d_mean).row(0) = d(0) + d(2) * b + d(3);
  View(second.d_mean).row(0) = d(1) + d(2) * a - d(3);
  return sum;
}

/// Scored positions only, gathered kRowBlock at a time.
LossSum Classifier::score_positions(const Request& request, ConstView x, View d_x) const {
  Workspace& workspace = request.team.workspace();
  const ConstSlices& weights = request.weights.parameters;
  const Transposes both = transpose_weights(request);
  const View gathered = workspace.matrix(kRowBlock, settings_.dim);
  const View normed = workspace.matrix(kRowBlock, settings_.dim);
  const View d_normed = workspace.matrix(kRowBlock, settings_.dim);
  const View statistics = workspace.matrix(kRowBlock, 2);
  std::array<Index, kRowBlock> position{};
  std::array<std::int32_t, kRowBlock> label{};
  zero_rows(d_x);
  LossSum total;
  std::size_t scored = 0;
  for (Index next = 0; next < x.rows();) {
    Index count = 0;
    for (; next < x.rows() && count < kRowBlock; ++next) {
      if (request.labels[static_cast<std::size_t>(next)] == kNotScored) continue;
      position[static_cast<std::size_t>(count)] = next;
      label[static_cast<std::size_t>(count)] = request.labels[static_cast<std::size_t>(next)];
      copy_rows(x.row_slice(next, 1), gathered.row_slice(count++, 1));
    }
    const View rows = gathered.row_slice(0, count);
    layer_norm(rows, weights[kScale], weights[kShift], settings_.norm_epsilon,
               normed.row_slice(0, count), statistics.row_slice(0, count));
    const auto size = static_cast<std::size_t>(count);
    const LossSum sum =
        score(request, both, normed.row_slice(0, count), std::span(label).first(size),
              request.right.empty() ? request.right : request.right.subspan(scored, size),
              d_normed.row_slice(0, count));
    total.loss += sum.loss;
    total.correct += sum.correct;
    scored += size;
    if (!request.training) continue;
    layer_norm_backward(rows, statistics.row_slice(0, count), weights[kScale],
                        d_normed.row_slice(0, count), {}, d_normed.row_slice(0, count),
                        request.grads[kScale], request.grads[kShift]);
    for (Index i = 0; i < count; ++i) {
      copy_rows(d_normed.row_slice(i, 1), d_x.row_slice(position[static_cast<std::size_t>(i)], 1));
    }
  }
  return total;
}

std::int32_t Classifier::likeliest(const Request& request, ConstView x) const {
  Workspace& workspace = request.team.workspace();
  const WorkspaceScope scope(workspace);
  const ConstSlices& weights = request.weights.parameters;
  const View normed = workspace.matrix(1, settings_.dim);
  layer_norm(x, weights[kScale], weights[kShift], settings_.norm_epsilon, normed,
             workspace.matrix(1, 2));
  Index best = 0;
  score_rows(request, normed).logits.row(0).maxCoeff(&best);
  return static_cast<std::int32_t>(best);
}

/// Linear - ReLU - Linear.
Classifier::Scored Classifier::score_rows(const Request& request, ConstView features) const {
  Workspace& workspace = request.team.workspace();
  const ConstSlices& weights = request.weights.parameters;
  const Scored scored{.hidden = workspace.matrix(features.rows(), settings_.hidden),
                      .logits = workspace.matrix(features.rows(), settings_.num_classes)};
  linear(features, weights[kHiddenWeight], weights[kHiddenBias], scored.hidden);
  relu(scored.hidden);
  linear(scored.hidden, weights[kOutWeight], weights[kOutBias], scored.logits);
  return scored;
}

/// Linear - ReLU - Linear - loss on at most kRowBlock rows of features, and in training back.
LossSum Classifier::score(const Request& request, const Transposes& transposed, ConstView features,
                          std::span<const std::int32_t> labels, std::span<std::uint8_t> right,
                          View d_features) const {
  Workspace& workspace = request.team.workspace();
  const WorkspaceScope scope(workspace);
  const Slices& grads = request.grads;
  const auto [hidden, logits] = score_rows(request, features);
  const LossSum sum = cross_entropy(logits, labels, request.loss_scale, right);
  if (!request.training) return sum;
  const View d_hidden = workspace.matrix(features.rows(), settings_.hidden);
  linear_backward_weights(hidden, logits, grads[kOutWeight], grads[kOutBias]);
  linear_backward_input(logits, transposed.out, d_hidden, Output::kOverwrite);
  relu_backward(hidden, d_hidden);
  linear_backward_weights(features, d_hidden, grads[kHiddenWeight], grads[kHiddenBias]);
  linear_backward_input(d_hidden, transposed.hidden, d_features, Output::kOverwrite);
  return sum;
}

Index count_scored(std::span<const std::int32_t> labels) {
  return static_cast<Index>(labels.size()) - std::ranges::count(labels, kNotScored);
}

}  // namespace arena
