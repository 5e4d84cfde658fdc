// linformer: attention to `rank` learned mixtures of the keys and values.
//
//   key' = E key [rank, d],  value' = F value [rank, d],  E, F [rank, max_len]
//   out = softmax(scale * query key'^T) value'
//   backward: d_key', d_value' from the softmax, then engine/length_projection.hpp
//
// Cost: 4 (N + M) rank d flops forward, (10 N + 8 M) rank d backward; saves 8 (rank d + N) bytes a
// head. Mixes positions before scoring, so it cannot be causal, and positions are absolute.
// Source: Wang, Li, Khabsa, Fang, Ma, "Linformer", 2020, sections 4 and 4.1 (its sharing schemes:
// a pair per head, per layer, one matrix for keys and values, one for all layers).

#include <cmath>

#include "variants/engine/head_costs.hpp"
#include "variants/engine/length_projection.hpp"
#include "variants/engine/reference_softmax.hpp"
#include "variants/engine/softmax_parts.hpp"

namespace arena {
namespace {

Sharing sharing_of(const std::string& text) {
  return text == "head" ? Sharing::kHead : text == "layer" ? Sharing::kLayer : Sharing::kModel;
}

/// What one head takes for queries against the mixtures.
struct Sizes {
  Extents mixed;  // key_len is the rank
  Index head_dim;

  Index mixtures() const { return 2 * stored_bytes<float>(mixed.key_len * head_dim); }
  Index frame() const { return mixtures() + softmax_statistics_bytes(mixed.query_len); }
  SoftmaxScratch forward(Index workers, bool saves) const {
    return added(saves ? 0 : mixtures(), softmax_forward_scratch(mixed, head_dim, workers));
  }
  SoftmaxScratch backward(Index workers) const {
    return added(mixtures(), softmax_backward_scratch(mixed, head_dim, mixed.query_len, workers));
  }
};

class Linformer final : public AttentionHead {
 public:
  Linformer(const Setup& setup, const Options& options)
      : rank_(options.integer("rank")),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {
    const Sharing sharing = sharing_of(options.text("sharing"));
    for (const char* name : {"E", "F"}) {
      specs_.push_back(length_projection(name, rank_, setup.max_len, sharing));
    }
    if (options.on("tied")) specs_[1].tie = "E";
  }

  std::span<const ParameterSpec> parameters() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return footprint_of(Sizes{{extents.query_len, rank_}, head_dim_}, call.team.size());
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Index query_len = in.query.rows();
    const WorkspaceScope scope(call.team.workspace());
    const auto take = [&](Index rows, Index cols) {
      return frame ? frame->matrix(rows, cols) : call.team.workspace().matrix(rows, cols);
    };
    const View key = take(rank_, head_dim_), value = take(rank_, head_dim_);
    const View statistics = frame ? frame->matrix(2, query_len) : View();
    LengthProjection(weights, 0).forward(call.team, in.key, key);
    LengthProjection(weights, 1).forward(call.team, in.value, value);
    softmax_forward(call.team, {in.query, key, value}, scale_, BandMask::full({query_len, rank_}),
                    outputs, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    const Index query_len = in.query.rows();
    FrameReader saved(frame);
    const ConstView key = saved.matrix(rank_, head_dim_), value = saved.matrix(rank_, head_dim_);
    const ConstView statistics = saved.matrix(2, query_len);
    const WorkspaceScope scope(call.team.workspace());
    const auto take = [&] { return call.team.workspace().matrix(rank_, head_dim_); };
    const View d_key = take(), d_value = take();
    softmax_backward(call.team, {in.query, key, value}, scale_, BandMask::full({query_len, rank_}),
                     d_outputs, statistics, {d_in.query, d_key, d_value});
    LengthProjection(weights, 0).backward(call.team, in.key, d_key, d_in.key, grads[0]);
    LengthProjection(weights, 1).backward(call.team, in.value, d_value, d_in.value, grads[1]);
  }

 private:
  Index rank_, head_dim_;
  float scale_;
  std::vector<ParameterSpec> specs_;
};

/// softmax(scale * query (E key)^T) (F value), in double.
MatrixD reference(const Problem&, const Call&, const HeadInputs& in, const Weights& weights) {
  const auto mixed = [&](Index i, const ConstView& rows) -> MatrixD {
    return weights.parameters[i].leftCols(rows.rows()).cast<double>() * rows.cast<double>();
  };
  return reference_softmax(reference_scores(in.query.cast<double>(), mixed(0, in.key))) *
         mixed(1, in.value);
}

/// rank = key_len and E = F = I: plain softmax attention.
void make_identity(HeadProblem& problem) {
  for (Matrix& projection : problem.parameters) projection.setIdentity();
}

double flops(const Problem& p) {
  const auto product = static_cast<double>(2 * p.options.integer("rank") * p.setup.head_dim);
  const auto [n, m] = p.extents;
  return flops_of_heads(p, product * static_cast<double>(2 * n + 2 * m),
                        product * static_cast<double>(5 * n + 4 * m));
}

double analytic_bytes(const Problem& p) {
  const Extents mixed{p.extents.query_len, p.options.integer("rank")};
  return bytes_of_heads(p, Sizes{mixed, p.setup.head_dim});
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
