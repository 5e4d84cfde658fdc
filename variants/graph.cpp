// graph: softmax attention along the edges of a graph, given with the call.
//
//   s_e = scale <query_i, key_j> for each edge e = (i, j);  out_i = sum of softmax(s)_e value_j
//   d_query_i = scale * sum of d_s_e key_j over the row of i, d_key_j = scale * sum of d_s_e
//   query_i over the column of j; d_s and d_value as in engine/sparse_softmax.hpp
//
// Cost for E edges: 4 E d flops forward, 10 E d backward; saves 8 N bytes a head. A self-loop
// counts only if listed; a query without edges gives 0. Causality is expressed by leaving edges
// out. Source: Velickovic et al., "Graph Attention Networks", 2018, section 2 (attention masked by
// the edges); the scores are those of Vaswani et al. 2017.

#include <cmath>

#include "harness/layers/rows.hpp"
#include "variants/engine/gathered_rows.hpp"
#include "variants/engine/head_costs.hpp"
#include "variants/engine/sparse_softmax.hpp"

namespace arena {
namespace {

constexpr float kLog2E = 1.4426950408889634F;

class DotScores final : public EdgeScores {
 public:
  DotScores(const HeadInputs& in, float scale, const HeadGrads& d_in = {})
      : in_(in), d_in_(d_in), scale_(scale) {}

  void evaluate(Index query, Numbers keys, float* scores) const override {
    const float* const q = row_of(in_.query, query);
    dot_rows(q, GatheredRows(in_.key, keys.data()), std::ssize(keys), scores);
    scale_by(scale_ * kLog2E, keys, scores);
  }
  void add_to_query(Index query, Numbers keys, bool first, float* d_scores) const override {
    scale_by(scale_, keys, d_scores);
    sum_rows(d_scores, GatheredRows(in_.key, keys.data()), std::ssize(keys),
             row_of(d_in_.query, query), adding_unless(first));
  }
  void add_to_key(Index key, Numbers queries, bool first, const float* d_scores) const override {
    sum_rows(d_scores, GatheredRows(in_.query, queries.data()), std::ssize(queries),
             row_of(d_in_.key, key), adding_unless(first));
  }

 private:
  static void scale_by(float factor, Numbers edges, float* scores) {
    for (std::size_t e = 0; e < edges.size(); ++e) scores[e] *= factor;
  }

  HeadInputs in_;
  HeadGrads d_in_;
  float scale_;
};

class Graph final : public AttentionHead {
 public:
  explicit Graph(const Setup& setup) : scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {}

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const Edges& edges = edges_of(call, extents, "graph");
    return {.frame = sparse_statistics_bytes(extents.query_len),
            .scratch = sparse_scratch_bytes(edges.count())};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Edges& edges = edges_of(call, extents_of(in), "graph");
    const View statistics = frame ? frame->matrix(2, in.query.rows()) : View();
    sparse_forward(call.team, edges, DotScores(in, scale_), in.value, outputs, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const Edges& edges = edges_of(call, extents_of(in), "graph");
    const ConstView statistics = FrameReader(frame).matrix(2, in.query.rows());
    sparse_backward(call.team, edges, DotScores(in, scale_, d_in), in.value, d_outputs, statistics,
                    d_in.value);
  }

 private:
  float scale_;
};

double flops(const Problem& p) {
  return softmax_flops(p, p.edges);
}

double analytic_bytes(const Problem& p) {
  if (p.pass == Pass::kForward) return 0;
  const Index heads = p.setup.num_heads, busy = heads >= p.workers ? p.workers : 1;
  return static_cast<double>(heads * sparse_statistics_bytes(p.extents.query_len) +
                             busy * sparse_scratch_bytes(p.edges));
}

const Register<Variant> kGraph{{
    .name = "graph",
    .summary = "softmax attention along the edges of a graph",
    .family = "graph",
    .year = 2017,
    .cost = "4 E d flops forward, 10 E d backward for E edges; saves 8 N bytes a head",
    .source = "Velickovic et al., Graph Attention Networks, 2018, section 2, with dot products",
    .claims = {.cross = true,
               .log_sum_exp = true,
               .convex = true,
               .equivariant = true,
               .edges = true,
               .pattern = [](const Problem&, const Call& call) { return *call.edges; }},
    .make_head = [](const Setup& setup, const Options&) { return std::make_unique<Graph>(setup); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
