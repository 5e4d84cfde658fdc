// gat: attention along the edges of a graph whose scores are a sum of one number for each end.
//
//   h = the projected nodes (input "value", which is also what is averaged)
//   s_e = LeakyReLU(<a_dst, h_i> + <a_src, h_j>) for each edge e = (i, j), slope 0.2 below 0
//   out_i = sum of softmax(s)_e h_j + bias
//   backward: d_dst_i and d_src_j are the sums of d_s_e LeakyReLU' over the row of i and the column
//   of j; d_h_j = d_value_j (engine/sparse_softmax.hpp) + d_dst_j a_dst + d_src_j a_src,
//   d_a_dst = sum of d_dst_i h_i, d_a_src = sum of d_src_j h_j, d_bias = sum of d_out_i.
//   The engine wants <d_out_i, out_i> without the bias: <d_out_i, bias> stands in for a
//   d_log_sum_exp.
// In training, attention_dropout drops weights softmax(s)_e and scales up the others, as in the
// paper's network; the mask of each head is drawn anew for each sequence and step.
//
// Cost for E edges: (2 E + 4 N) d flops forward, (4 E + 8 N) d backward; saves 16 N bytes a head.
// Source: Velickovic, Cucurull, Casanova, Romero, Lio, Bengio, "Graph Attention Networks", 2018,
// section 2.1; heads concatenated, parameters as in their code (Glorot).

#include "harness/layers/dropout.hpp"
#include "harness/layers/linear.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/rows.hpp"
#include "variants/engine/head_costs.hpp"
#include "variants/engine/node_scores.hpp"
#include "variants/engine/reference_softmax.hpp"

namespace arena {
namespace {

enum Parameter : Index { kDst, kSrc, kBias };

class Gat final : public AttentionHead {
 public:
  Gat(const Setup& setup, const Options& options) : dropout_(options.real("attention_dropout")) {
    for (const char* name : {"a_dst", "a_src"}) {
      specs_.push_back({name, 1, setup.head_dim, Init::xavier(), Sharing::kHead});
    }
    specs_.push_back({"bias", 1, setup.head_dim, Init::zeros(), Sharing::kHead});
  }

  std::span<const std::string_view> inputs() const override {
    static constexpr std::array<std::string_view, 1> kInputs{"value"};
    return kInputs;
  }
  std::span<const ParameterSpec> parameters() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const Edges& edges = edges_of(call, extents, "gat");
    return {.frame = frame_bytes(extents.key_len),
            .scratch = scratch_bytes(extents.key_len, edges.count()) +
                       (drops(call) ? stored_bytes<float>(edges.count()) : 0)};
  }
  static Index frame_bytes(Index nodes) {
    return sparse_statistics_bytes(nodes) + stored_bytes<float>(2 * nodes);
  }
  static Index scratch_bytes(Index nodes, Index edges) {
    return stored_bytes<float>(2 * nodes) + stored_bytes<float>(nodes) +
           sparse_scratch_bytes(edges);
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Index count = in.value.rows();
    const Edges& edges = edges_of(call, extents_of(in), "gat");
    const WorkspaceScope scope(call.team.workspace());
    const View statistics = frame ? frame->matrix(2, count) : View();
    const View nodes = frame ? frame->matrix(2, count) : call.team.workspace().matrix(2, count);
    project_rows(call.team, in.value, weights.parameters[kDst], row_of(nodes, 0));
    project_rows(call.team, in.value, weights.parameters[kSrc], row_of(nodes, 1));
    sparse_forward(call.team, edges, NodeScores(nodes), in.value, outputs, statistics,
                   edge_factors(call, edges));
    for_row_blocks(call.team, count, [&](Index first, Index rows, const Team&) {
      outputs.out.row_slice(first, rows).rowwise() += weights.parameters[kBias].row(0);
    });
  }

  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    const Index count = in.value.rows();
    const Edges& edges = edges_of(call, extents_of(in), "gat");
    FrameReader saved(frame);
    const ConstView statistics = saved.matrix(2, count), nodes = saved.matrix(2, count);
    Workspace& workspace = call.team.workspace();
    const WorkspaceScope scope(workspace);
    const View d_nodes = workspace.matrix(2, count), of_bias = workspace.matrix(count, 1);
    project_rows(call.team, d_outputs.out, weights.parameters[kBias], row_of(of_bias, 0));
    const HeadOutputGrads d_average{
        .out = d_outputs.out, .log_sum_exp = of_bias, .forward_out = d_outputs.forward_out};
    sparse_backward(call.team, edges, NodeScores(nodes, d_nodes), in.value, d_average, statistics,
                    d_in.value, edge_factors(call, edges));
    for (const Index end : {kDst, kSrc}) {
      const ConstView d_node(row_of(d_nodes, end), count, 1);
      multiply(call.team, d_node, weights.parameters[end], d_in.value, Output::kAdd);
      multiply(call.team, transpose(d_node), in.value, grads[end], Output::kAdd);
    }
    add_column_sums(d_outputs.out, grads[kBias]);
  }

 private:
  bool drops(const Call& call) const { return call.training && dropout_ > 0; }

  /// Of dropout, in the team's workspace; null where nothing is dropped. A function of call.key.
  const float* edge_factors(const Call& call, const Edges& edges) const {
    if (!drops(call)) return nullptr;
    const View factors = call.team.workspace().matrix(1, edges.count());
    factors.row_slice(0, 1).setOnes();
    Dropout(call.key.fold("attention_dropout"), dropout_, edges.count()).apply(0, factors);
    return factors.data();
  }

  double dropout_;
  std::vector<ParameterSpec> specs_;
};

/// The formula at the top, node by node in double.
MatrixD reference(const Problem&, const Call& call, const HeadInputs& in, const Weights& weights) {
  const auto parameter = [&](Index i) -> MatrixD { return weights.parameters[i].cast<double>(); };
  const MatrixD h = in.value.cast<double>();
  const MatrixD dst = h * parameter(kDst).transpose(), src = h * parameter(kSrc).transpose();
  MatrixD out = parameter(kBias).replicate(h.rows(), 1);
  for (Index i = 0; i < h.rows(); ++i) {
    const auto begin = call.edges->row_begin.begin() + i;
    const std::vector<std::int32_t> keys(call.edges->key.begin() + begin[0],
                                         call.edges->key.begin() + begin[1]);
    MatrixD scores = (src(keys, 0).array() + dst(i, 0)).transpose();
    scores = scores.array().max(0.2 * scores.array());
    out.row(i) += reference_softmax(scores) * h(keys, Eigen::all);
  }
  return out;
}

double flops(const Problem& p) {
  const Index rows = 2 * p.edges + 4 * p.extents.key_len;
  const auto forward = static_cast<double>(rows * p.setup.head_dim);
  return flops_of_heads(p, forward, 2 * forward);
}

double analytic_bytes(const Problem& p) {
  const Index nodes = p.extents.key_len, heads = p.setup.num_heads;
  const Index busy = heads >= p.workers ? p.workers : 1;
  if (p.pass == Pass::kForward) return static_cast<double>(busy * stored_bytes<float>(2 * nodes));
  return static_cast<double>(heads * Gat::frame_bytes(nodes) +
                             busy * Gat::scratch_bytes(nodes, p.edges));
}

const Register<Variant> kGat{{
    .name = "gat",
    .summary = "graph attention: an edge's score is a learned sum of its two ends",
    .family = "graph",
    .year = 2018,
    .cost =
        "(2 E + 4 N) d flops forward, twice that backward, for E edges; saves 16 N bytes a head",
    .source = "Velickovic et al., Graph Attention Networks, 2018, section 2.1",
    .options = {real_option("attention_dropout", 0, 0, 0.9,
                            "share of attention weights dropped in training")},
    .claims = {.edges = true, .reference = reference},
    .make_head = [](const Setup& setup,
                    const Options& options) { return std::make_unique<Gat>(setup, options); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
    .arithmetic = [](const Options&) { return Arithmetic{.kinks = true}; },
}};

}  // namespace
}  // namespace arena
