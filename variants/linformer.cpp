// linformer: attention to `rank` learned mixtures of the keys and values.
//
//   key' = E key [rank, d],  value' = F value [rank, d],  out = softmax(scale * query key'^T)
//   value' E, F are [rank, max_len]; a sequence of key_len tokens uses their first key_len columns.
//   backward: d_key', d_value' from the softmax; d_E += d_key' key^T, d_F += d_value' value^T,
//   d_key = E^T d_key', d_value = F^T d_value'
//
// Cost: 4 (N + M) rank d flops forward, (10 N + 8 M) rank d backward; saves 8 (rank d + N) bytes a
// head. Mixes positions before scoring, so it cannot be causal, and positions are absolute.
// Source: Wang, Li, Khabsa, Fang, Ma, "Linformer", 2020, sections 4 and 4.1 (its sharing schemes:
// a pair per head, per layer, one matrix for keys and values, one for all layers).
// E and F start as N(0, 1 / rank), as the paper's Johnson-Lindenstrauss argument has it; codes
// differ (Xavier in LRA, N(0, 0.02) in Nyströmformer's).

#include <cmath>

#include "harness/layers/product.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

Sharing sharing_of(const std::string& text) {
  return text == "head" ? Sharing::kHead : text == "layer" ? Sharing::kLayer : Sharing::kModel;
}

class Linformer final : public AttentionHead {
 public:
  Linformer(const Setup& setup, const Options& options)
      : rank_(options.integer("rank")),
        max_len_(setup.max_len),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {
    if (setup.causal) {
      throw Error("linformer mixes positions before scoring: it cannot be causal",
                  Failure::kUnsupported);
    }
    const Init init = Init::normal(1 / std::sqrt(static_cast<float>(rank_)));
    const Sharing sharing = sharing_of(options.text("sharing"));
    specs_ = {{.name = "E",
               .rows = rank_,
               .cols = max_len_,
               .init = init,
               .sharing = sharing,
               .transposed = true},
              {.name = "F",
               .rows = rank_,
               .cols = max_len_,
               .init = init,
               .sharing = sharing,
               .tie = options.on("tied") ? "E" : "",
               .transposed = true}};
  }

  std::span<const ParameterSpec> parameters() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const Index workers = call.team.size();
    const Extents inner{extents.query_len, rank_};
    const Index mixtures = 2 * stored_bytes<float>(rank_ * head_dim_);
    const Index forward = softmax_forward_scratch(inner, head_dim_, workers).caller;
    const Index backward =
        softmax_backward_scratch(inner, head_dim_, extents.query_len, workers).caller;
    return {.frame = mixtures + softmax_statistics_bytes(extents.query_len),
            .scratch = mixtures + std::max(forward, backward)};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Index query_len = in.query.rows(), key_len = in.key.rows();
    check(key_len <= max_len_, "linformer: {} keys, but its projections were made for max_len {}",
          key_len, max_len_);
    const WorkspaceScope scope(call.team.workspace());
    const auto take = [&](Index rows, Index cols) {
      return frame ? frame->matrix(rows, cols) : call.team.workspace().matrix(rows, cols);
    };
    View key = take(rank_, head_dim_), value = take(rank_, head_dim_);
    const View statistics = frame ? frame->matrix(2, query_len) : View();
    multiply(call.team, used(weights.parameters[0], key_len), in.key, key, Output::kOverwrite);
    multiply(call.team, used(weights.parameters[1], key_len), in.value, value, Output::kOverwrite);
    softmax_forward(call.team, {in.query, key, value}, scale_, BandMask::full({query_len, rank_}),
                    outputs, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    const Index query_len = in.query.rows(), key_len = in.key.rows();
    FrameReader saved(frame);
    const ConstView key = saved.matrix(rank_, head_dim_), value = saved.matrix(rank_, head_dim_);
    const ConstView statistics = saved.matrix(2, query_len);
    Workspace& workspace = call.team.workspace();
    const WorkspaceScope scope(workspace);
    const View d_key = workspace.matrix(rank_, head_dim_);
    const View d_value = workspace.matrix(rank_, head_dim_);
    softmax_backward(call.team, {in.query, key, value}, scale_, BandMask::full({query_len, rank_}),
                     d_outputs, statistics, {d_in.query, d_key, d_value});
    multiply(call.team, transposed(weights, 0, key_len), d_key, d_in.key, Output::kOverwrite);
    multiply(call.team, transposed(weights, 1, key_len), d_value, d_in.value, Output::kOverwrite);
    multiply(call.team, d_key, transpose(in.key), grads[0].column_slice(0, key_len), Output::kAdd);
    multiply(call.team, d_value, transpose(in.value), grads[1].column_slice(0, key_len),
             Output::kAdd);
  }

 private:
  static ConstView used(const ConstView& projection, Index key_len) {
    return projection.column_slice(0, key_len);
  }
  /// The prepared transpose where there is one, whose rows are read faster than columns.
  static Factor transposed(const Weights& weights, Index i, Index key_len) {
    if (weights.transposed.present()) {
      return weights.transposed.transpose_at(i).row_slice(0, key_len);
    }
    return transpose(used(weights.parameters[i], key_len));
  }

  Index rank_;
  Index max_len_;
  Index head_dim_;
  float scale_;
  std::vector<ParameterSpec> specs_;
};

/// softmax(scale * query (E key)^T) (F value), in double.
MatrixD reference(const Problem& p, const Call&, const HeadInputs& in, const Weights& weights) {
  const Index key_len = in.key.rows();
  const MatrixD e = weights.parameters[0].column_slice(0, key_len).cast<double>();
  const MatrixD f = weights.parameters[1].column_slice(0, key_len).cast<double>();
  const MatrixD key = e * in.key.cast<double>(), value = f * in.value.cast<double>();
  const double scale = 1 / std::sqrt(static_cast<double>(p.setup.head_dim));
  MatrixD scores = scale * in.query.cast<double>() * key.transpose();
  for (Index i = 0; i < scores.rows(); ++i) {
    const double row_max = scores.row(i).maxCoeff();
    scores.row(i) = (scores.row(i).array() - row_max).exp();
    scores.row(i) /= scores.row(i).sum();
  }
  return scores * value;
}

/// rank = key_len and E = F = I: plain softmax attention.
void make_identity(HeadProblem& problem) {
  for (Matrix& projection : problem.parameters) projection.setIdentity();
}

double flops(const Problem& p) {
  const auto n = static_cast<double>(p.extents.query_len);
  const auto m = static_cast<double>(p.extents.key_len);
  const double forward = 4 * n + 4 * m, backward = 10 * n + 8 * m;
  const double rows = p.pass == Pass::kForward    ? forward
                      : p.pass == Pass::kBackward ? backward
                                                  : forward + backward;
  return rows *
         static_cast<double>(p.options.integer("rank") * p.setup.head_dim * p.setup.num_heads);
}

double analytic_bytes(const Problem& p) {
  const Index rank = p.options.integer("rank"), heads = p.setup.num_heads;
  const Index mixtures = 2 * stored_bytes<float>(rank * p.setup.head_dim);
  const Index busy = heads >= p.workers ? p.workers : 1;
  const double softmax = softmax_scratch_bytes(p, {p.extents.query_len, rank}, p.extents.query_len);
  const double scratch = static_cast<double>(busy * mixtures) + softmax;
  if (p.pass == Pass::kForward) return scratch;
  const Index frame = mixtures + softmax_statistics_bytes(p.extents.query_len);
  return static_cast<double>(heads * frame) + scratch;
}

const Register<Variant> kLinformer{{
    .name = "linformer",
    .summary = "softmax attention to `rank` learned mixtures of keys and values",
    .family = "low rank",
    .year = 2020,
    .cost = "4 (N + M) rank d flops forward, (10 N + 8 M) rank d backward; "
            "saves 8 (rank d + N) bytes a head",
    .source = "Wang et al., Linformer: Self-Attention with Linear Complexity, 2020, section 4",
    .published_row = "Linformer",
    .options = {integer_option("rank", 64, 1, 8192, "number of mixtures"),
                choice_option("sharing", "layer", {"head", "layer", "model"},
                              "who shares E and F: each head its own, a layer's heads, all layers"),
                switch_option("tied", false, "E = F")},
    .claims = {.cross = true,
               .exact = {{.name = "E = F = I at rank = key_len",
                          .options = {{"rank", "48"}},
                          .extents = {48, 48},
                          .edit = make_identity}},
               .reference = reference},
    .make_head = [](const Setup& setup,
                    const Options& options) { return std::make_unique<Linformer>(setup, options); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
