#include "harness/model/gat_network.hpp"

#include <algorithm>

#include "harness/layers/activation.hpp"
#include "harness/layers/dropout.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/rows.hpp"
#include "harness/model/classifier.hpp"
#include "harness/model/make.hpp"

namespace arena {
namespace {

GraphLayer make_graph_layer(const Variant& variant, const Options& options, Index in, Index heads,
                            Index head_dim) {
  if (in == 0) {
    throw Error("block=gat takes nodes with vectors, not with tokens", Failure::kUnsupported);
  }
  const Setup setup{.num_heads = heads, .head_dim = head_dim, .model_dim = in};
  return {make_head(variant, setup, options), in, heads, head_dim};
}

/// x, or a copy with dropout in the team's workspace.
ConstView dropped(const Call& call, ConstView x, double rate) {
  const Dropout dropout(call.key.fold("input"), rate, x.cols());
  if (!dropout.drops()) return x;
  const View copy = call.team.workspace().matrix(x.rows(), x.cols());
  for_row_blocks(call.team, x.rows(), [&](Index first, Index count, const Team&) {
    dropout.copy(first, x.row_slice(first, count), copy.row_slice(first, count));
  });
  return copy;
}

}  // namespace

GatNetwork::GatNetwork(const Variant& variant, const Options& options, const Settings& settings)
    : settings_(settings),
      layers_{make_graph_layer(variant, options, settings.feature_dim, settings.heads,
                               settings.head_dim),
              make_graph_layer(variant, options, settings.heads * settings.head_dim,
                               settings.output_heads, settings.num_classes)},
      first_size_(std::ssize(layers_[0].specs())) {}

std::vector<ParameterSpec> GatNetwork::specs() const {
  std::vector<ParameterSpec> specs = with_prefix(layers_[0].specs(), "layers.0.");
  for (ParameterSpec& spec : with_prefix(layers_[1].specs(), "layers.1.")) {
    specs.push_back(std::move(spec));
  }
  return specs;
}

LossSum GatNetwork::run(const Request& request) const {
  const Team& team = request.call.team;
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  const bool training = request.call.training;
  const double rate = training ? settings_.dropout : 0;
  const Index len = request.sample.features->rows(), width = layers_[0].width();
  std::array<Call, 2> calls{request.call, request.call};
  std::array<Weights, 2> weights;
  for (const Index l : {0, 1}) {
    const auto at = static_cast<std::size_t>(l);
    calls[at].layer = l;
    calls[at].key = request.call.key.fold(static_cast<std::uint64_t>(l));
    calls[at].edges = request.sample.edges.get();
    weights[at] = {part(request.weights.parameters, l), {}, part(request.weights.transposed, l)};
  }

  const ConstView x = dropped(calls[0], *request.sample.features, rate);
  const GraphLayer::Pass first = layers_[0].forward(calls[0], x, weights[0]);
  const View hidden = workspace.matrix(len, width);
  const Dropout dropout(calls[1].key.fold("input"), rate, width);
  elu(first.out, hidden);
  dropout.apply(0, hidden);
  const GraphLayer::Pass second = layers_[1].forward(calls[1], hidden, weights[1]);
  const View d_out = workspace.matrix(len, layers_[1].width());
  const LossSum sum = score(request, second.out, d_out);
  if (!training) return sum;
  const View d_hidden = workspace.matrix(len, width);
  layers_[1].backward(calls[1], second, d_out, weights[1], d_hidden, part(request.grads, 1));
  dropout.apply(0, d_hidden);
  elu_backward(first.out, d_hidden);
  layers_[0].backward(calls[0], first, d_hidden, weights[0], {}, part(request.grads, 0));
  return sum;
}

/// The scored rows' loss; d_out is its gradient.
LossSum GatNetwork::score(const Request& request, ConstView out, View d_out) const {
  const Index classes = settings_.num_classes, heads = settings_.output_heads;
  const std::span<const std::int32_t> labels = request.sample.labels;
  const float share = 1 / static_cast<float>(heads);
  LossSum total;
  zero_rows(d_out);
  std::size_t scored = 0;
  const WorkspaceScope scope(request.call.team.workspace());
  const View logits = request.call.team.workspace().matrix(1, classes);
  for (Index i = 0; i < out.rows(); ++i) {
    const std::span<const std::int32_t> label = labels.subspan(static_cast<std::size_t>(i), 1);
    if (label.front() == kNotScored) continue;
    logits.row_slice(0, 1).setZero();
    for (Index h = 0; h < heads; ++h) {
      logits.row_slice(0, 1) += share * out.row(i).segment(h * classes, classes);
    }
    const LossSum sum =
        cross_entropy(logits, label, request.loss_scale,
                      request.right.empty() ? request.right : request.right.subspan(scored, 1));
    ++scored;
    total.loss += sum.loss;
    total.correct += sum.correct;
    for (Index h = 0; h < heads; ++h) {
      d_out.row(i).segment(h * classes, classes) = share * logits.row(0);
    }
  }
  return total;
}

}  // namespace arena
