#include "harness/model/graph_layer.hpp"

#include "harness/layers/row_blocks.hpp"

namespace arena {

GraphLayer::GraphLayer(std::unique_ptr<AttentionHead> head, Index in, Index heads, Index head_dim)
    : head_(std::move(head)), in_(in), heads_(heads), head_dim_(head_dim) {
  if (head_->inputs().size() != 1) {
    throw Error("block=gat is of variants that attend on one projection: gat",
                Failure::kUnsupported);
  }
}

std::vector<ParameterSpec> GraphLayer::specs() const {
  std::vector<ParameterSpec> specs{
      {.name = "weight", .rows = in_, .cols = width(), .init = Init::xavier(), .transposed = true}};
  for (Index h = 0; h < heads_; ++h) {
    for (ParameterSpec& spec : specs_of_head(head_->parameters(), h)) {
      specs.push_back(std::move(spec));
    }
  }
  return specs;
}

std::span<Weights> GraphLayer::head_weights(const Team& team, const Weights& weights) const {
  const std::span<Weights> result = team.workspace().take<Weights>(heads_);
  for (Index h = 0; h < heads_; ++h) {
    result[static_cast<std::size_t>(h)] = {part_of_head(weights.parameters, h), {}};
  }
  return result;
}

GraphLayer::Pass GraphLayer::forward(const Call& call, ConstView x, const Weights& weights) const {
  Workspace& workspace = call.team.workspace();
  const Index len = x.rows();
  Pass pass{.x = x,
            .projected = workspace.matrix(len, width()),
            .out = workspace.matrix(len, width()),
            .frames = workspace.take<Frame>(call.training ? heads_ : 0)};
  for (Index h = 0; h < std::ssize(pass.frames); ++h) {
    const Call of_head = call_of_head(call, h, call.team, nullptr);
    pass.frames[static_cast<std::size_t>(h)] =
        Frame::carve(workspace, head_->footprint({len, len}, of_head).frame);
  }
  multiply(call.team, x, weights.parameters[0], pass.projected, Output::kOverwrite);
  const WorkspaceScope scope(workspace);
  forward_heads(*head_, call, heads_, {.value = pass.projected}, head_weights(call.team, weights),
                {.out = pass.out}, pass.frames);
  return pass;
}

void GraphLayer::backward(const Call& call, const Pass& pass, ConstView d_out,
                          const Weights& weights, View d_x, const Slices& grads) const {
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const View d_projected = workspace.matrix(pass.x.rows(), width());
  const std::span<Slices> head_grads = workspace.take<Slices>(heads_);
  for (Index h = 0; h < heads_; ++h) {
    head_grads[static_cast<std::size_t>(h)] = part_of_head(grads, h);
  }
  backward_heads(*head_, call, heads_, {.value = pass.projected}, head_weights(call.team, weights),
                 {.out = d_out, .forward_out = pass.out}, pass.frames, {.value = d_projected},
                 head_grads);
  multiply(call.team, transpose(pass.x), d_projected, grads[0], Output::kAdd);
  if (d_x.empty()) return;
  multiply(call.team, d_projected, transposed(workspace, weights, 0), d_x, Output::kOverwrite);
}

}  // namespace arena
