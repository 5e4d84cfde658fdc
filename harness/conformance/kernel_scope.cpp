#include "harness/conformance/kernel_scope.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "harness/conformance/cases.hpp"

namespace arena {
namespace {

Matrix normal_matrix(Index rows, Index cols, RandomKey key) {
  Matrix matrix(rows, cols);
  fill_normal(key, 1, matrix);
  return matrix;
}

/// The slices of each head in one flat buffer, which is initialised by the specs' rules.
std::vector<std::vector<Slice>> lay_out(std::span<const ParameterSpec> specs, Index num_heads,
                                        RandomKey key, std::vector<float>& values) {
  ParameterLayout layout;
  std::vector<std::vector<Slice>> slices;
  for (Index head = 0; head < num_heads; ++head) {
    slices.push_back(layout.add(specs_of_head(specs, head), "layers.0.", ""));
  }
  values.resize(static_cast<std::size_t>(layout.size()));
  layout.initialise(key, values);
  return slices;
}

bool same_bytes(const float* a, const float* b, std::size_t count) {
  return count == 0 || std::memcmp(a, b, count * sizeof(float)) == 0;
}

}  // namespace

KernelScope::KernelScope(const ChosenVariant& chosen, const Setup& setup, const Extents& extents,
                         RandomKey key)
    : setup_(setup),
      extents_(extents),
      head_(make_head(chosen.variant, setup, chosen.options)),
      names_(input_names(*head_)) {
  if (chosen.variant.claims.edges) edges_ = check_edges(extents);
  const Index width = setup.num_heads * setup.head_dim;
  for (std::size_t slot = 0; slot < names_.size(); ++slot) {
    if (names_[slot].empty()) continue;
    const Index len = slot == 1 || slot == 2 ? extents.key_len : extents.query_len;
    inputs_[slot] = normal_matrix(len, width, key.fold(names_[slot]));
  }
  d_inputs_ = inputs_;
  d_out_ = normal_matrix(extents.query_len, width, key.fold("d_out"));
  out_.setZero(extents.query_len, width);
  if (chosen.variant.claims.log_sum_exp) {
    log_sum_exp_.setZero(extents.query_len, setup.num_heads);
    d_log_sum_exp_ = normal_matrix(extents.query_len, setup.num_heads, key.fold("d_log_sum_exp"));
  }
  parameter_slices_ = lay_out(head_->parameters(), setup.num_heads, key, parameters_);
  buffer_slices_ = lay_out(head_->buffers(), setup.num_heads, key, buffers_);
  grads_.resize(parameters_.size());
  for (std::size_t h = 0; h < parameter_slices_.size(); ++h) {
    weights_.push_back(
        {{parameters_.data(), parameter_slices_[h]}, {buffers_.data(), buffer_slices_[h]}});
    head_grads_.emplace_back(grads_.data(), parameter_slices_[h]);
  }
  frames_.resize(weights_.size());
}

void KernelScope::forward(const Call& call) {
  forward_heads(*head_, with_edges(call), setup_.num_heads, inputs(), weights_,
                {View(out_), View(log_sum_exp_)}, {});
}

Plan KernelScope::plan(const Call& call, Index head) {
  std::vector<Extras> extras(weights_.size());
  Plan result;
  extras[static_cast<std::size_t>(head)].plan = &result;
  forward_heads(*head_, with_edges(call), setup_.num_heads, inputs(), weights_,
                {View(out_), View(log_sum_exp_)}, {}, extras);
  return result;
}

void KernelScope::train(const Call& call) {
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const Index frame_bytes = head_->footprint(extents_, with_edges(call)).frame;
  for (Frame& frame : frames_) frame = Frame::carve(workspace, frame_bytes);
  std::ranges::fill(grads_, 0.0F);
  forward_heads(*head_, with_edges(call), setup_.num_heads, inputs(), weights_,
                {View(out_), View(log_sum_exp_)}, frames_);
  backward_heads(*head_, with_edges(call), setup_.num_heads, inputs(), weights_,
                 {.out = d_out_, .log_sum_exp = d_log_sum_exp_, .forward_out = out_}, frames_,
                 head_matrices<View>(
                     [&](Index slot) -> View { return d_inputs_[static_cast<std::size_t>(slot)]; }),
                 head_grads_);
}

std::string difference(const KernelScope& a, const KernelScope& b) {
  const auto differs = [](const std::string& name, const Matrix& x, const Matrix& y) {
    if (same_bytes(x.data(), y.data(), static_cast<std::size_t>(x.size()))) return std::string();
    return fmt::format("{} differs by up to {:.2g}", name, (x - y).cwiseAbs().maxCoeff());
  };
  std::string found = differs("out", a.out_, b.out_);
  if (found.empty()) found = differs("log_sum_exp", a.log_sum_exp_, b.log_sum_exp_);
  for (std::size_t slot = 0; slot < a.names_.size() && found.empty(); ++slot) {
    found = differs("d_" + a.names_[slot], a.d_inputs_[slot], b.d_inputs_[slot]);
  }
  if (!found.empty()) return found;
  return same_bytes(a.grads_.data(), b.grads_.data(), a.grads_.size())
             ? ""
             : "the parameters' gradients differ";
}

}  // namespace arena
