#include "harness/conformance/kernel_scope.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "harness/model/heads.hpp"

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
    : setup_(setup), extents_(extents), head_(make_head(chosen.variant, setup, chosen.options)) {
  const Index width = setup.num_heads * setup.head_dim;
  query_ = normal_matrix(extents.query_len, width, key.fold("query"));
  key_ = normal_matrix(extents.key_len, width, key.fold("key"));
  value_ = normal_matrix(extents.key_len, width, key.fold("value"));
  d_out_ = normal_matrix(extents.query_len, width, key.fold("d_out"));
  out_.setZero(extents.query_len, width);
  d_query_.setZero(extents.query_len, width);
  d_key_.setZero(extents.key_len, width);
  d_value_.setZero(extents.key_len, width);
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
  forward_heads(*head_, call, setup_.num_heads, inputs(), weights_,
                {View(out_), View(log_sum_exp_)}, {});
}

void KernelScope::train(const Call& call) {
  Workspace& workspace = call.team.workspace();
  const WorkspaceScope scope(workspace);
  const Index frame_bytes = head_->footprint(extents_, call).frame;
  for (Frame& frame : frames_) frame = Frame::carve(workspace, frame_bytes);
  std::ranges::fill(grads_, 0.0F);
  forward_heads(*head_, call, setup_.num_heads, inputs(), weights_,
                {View(out_), View(log_sum_exp_)}, frames_);
  backward_heads(*head_, call, setup_.num_heads, inputs(), weights_,
                 {.out = d_out_, .log_sum_exp = d_log_sum_exp_, .forward_out = out_}, frames_,
                 {View(d_query_), View(d_key_), View(d_value_)}, head_grads_);
}

std::string difference(const KernelScope& a, const KernelScope& b) {
  using Pair = std::tuple<const char*, const Matrix&, const Matrix&>;
  for (const auto& [name, x, y] :
       {Pair{"out", a.out_, b.out_}, Pair{"log_sum_exp", a.log_sum_exp_, b.log_sum_exp_},
        Pair{"d_query", a.d_query_, b.d_query_}, Pair{"d_key", a.d_key_, b.d_key_},
        Pair{"d_value", a.d_value_, b.d_value_}}) {
    if (same_bytes(x.data(), y.data(), static_cast<std::size_t>(x.size()))) continue;
    return fmt::format("{} differs by up to {:.2g}", name, (x - y).cwiseAbs().maxCoeff());
  }
  return same_bytes(a.grads_.data(), b.grads_.data(), a.grads_.size())
             ? ""
             : "the parameters' gradients differ";
}

}  // namespace arena
