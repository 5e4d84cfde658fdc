// dense: out = softmax(scale * query key^T) value with the scores materialised, by Eigen.
//
//   scores = scale * query key^T,  probabilities = softmax of each row,  out = probabilities value
//   d_value = probabilities^T d_out,  d_p = d_out value^T,
//   d_scores = p * (d_p - <d_out, out>_row),  d_query = scale d_scores key,  d_key = scale
//   d_scores^T query
//
// Cost: 4 N M d flops forward, 8 N M d backward; saves the probabilities, 4 N M bytes a head.
// Source: Vaswani et al. 2017, section 3.2.1. The readable, fair baseline.

#include <cmath>
#include <limits>

#include "variants/engine/head_costs.hpp"

namespace arena {
namespace {

class Dense final : public AttentionHead {
 public:
  explicit Dense(const Setup& setup)
      : causal_(setup.causal), scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {}

  Footprint footprint(const Extents& extents, const Call&) const override {
    const Index scores = stored_bytes<float>(extents.query_len * extents.key_len);
    return {.frame = scores, .scratch = scores};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Extents extents{in.query.rows(), in.key.rows()};
    const WorkspaceScope scope(call.team.workspace());
    View scores = frame ? frame->matrix(extents.query_len, extents.key_len)
                        : call.team.workspace().matrix(extents.query_len, extents.key_len);
    scores.noalias() = scale_ * in.query * in.key.transpose();
    for (Index i = 0; i < extents.query_len; ++i) {
      const float log_sum_exp = softmax_row(scores.row_slice(i, 1), visible(i, extents));
      if (!outputs.log_sum_exp.empty()) outputs.log_sum_exp(i, 0) = log_sum_exp;
    }
    outputs.out.noalias() = scores * in.value;
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const Extents extents{in.query.rows(), in.key.rows()};
    const ConstView probabilities = FrameReader(frame).matrix(extents.query_len, extents.key_len);
    const WorkspaceScope scope(call.team.workspace());
    View d_scores = call.team.workspace().matrix(extents.query_len, extents.key_len);
    d_in.value.noalias() = probabilities.transpose() * d_outputs.out;
    d_scores.noalias() = d_outputs.out * in.value.transpose();
    for (Index i = 0; i < extents.query_len; ++i) {
      float shift = d_outputs.out.row(i).dot(d_outputs.forward_out.row(i));
      if (!d_outputs.log_sum_exp.empty()) shift -= d_outputs.log_sum_exp(i, 0);
      d_scores.row(i).array() = probabilities.row(i).array() * (d_scores.row(i).array() - shift);
    }
    d_in.query.noalias() = scale_ * d_scores * in.key;
    d_in.key.noalias() = scale_ * d_scores.transpose() * in.query;
  }

 private:
  Index visible(Index i, const Extents& extents) const {
    return causal_ ? std::max(Index{0}, causal_limit(i, extents) + 1) : extents.key_len;
  }

  /// Softmax over the first `count` entries, zero beyond; returns log sum exp.
  static float softmax_row(View row, Index count) {
    row.rightCols(row.cols() - count).setZero();
    if (count == 0) return -std::numeric_limits<float>::infinity();
    auto seen = row.leftCols(count).array();
    const float row_max = seen.maxCoeff();
    seen = (seen - row_max).exp();
    const float sum = seen.sum();
    seen *= 1 / sum;
    return row_max + std::log(sum);
  }

  bool causal_;
  float scale_;
};

double flops(const Problem& p) {
  const auto product = static_cast<double>(2 * p.extents.query_len * p.extents.key_len) *
                       static_cast<double>(p.setup.head_dim);
  return flops_of_heads(p, 2 * product, 4 * product);
}

double analytic_bytes(const Problem& p) {
  const auto scores = 4.0 * static_cast<double>(p.extents.query_len * p.extents.key_len);
  const auto heads = static_cast<double>(p.setup.num_heads);
  const double busy = std::min(heads, static_cast<double>(p.workers));
  return scores * (p.pass == Pass::kForward ? busy : heads + busy);
}

const Register<Variant> kDense{{
    .name = "dense",
    .summary = "softmax attention, scores materialised (Eigen): the readable baseline",
    .family = "exact",
    .year = 2017,
    .cost = "4 N M d flops forward, 8 N M d backward; saves 4 N M bytes a head",
    .source = "Vaswani et al., Attention Is All You Need, 2017, section 3.2.1",
    .published_row = "Transformer",
    .claims = {.causal = true,
               .cross = true,
               .log_sum_exp = true,
               .convex = true,
               .equivariant = true,
               .allocates = true,
               .exact = {{.name = "always"}}},
    .make_head = [](const Setup& setup, const Options&) { return std::make_unique<Dense>(setup); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
