// reformer: attention among tokens whose queries hash into the same bucket or a neighbouring one.
//
//   keys are the unit vectors of the queries: key_j = a_j q_j, a_j = 1 / sqrt(|q_j|^2 + 1e-6 d)
//   each round hashes the queries anew (engine/lsh.hpp), sorts them by (bucket, position) and cuts
//   them into chunks; a chunk sees itself, `before` chunks before and `after` after it, in the ring
//   of all chunks of all rounds
//   out: softmax of <q_i, key_j>, without further scale, over all that i sees in any round, itself
//   (and, if causal, later ones) excepted; alone it gives its value (engine/sorted_attention.hpp)
//   backward: d_q_j = d_query_j + a_j (d_key_j - <d_key_j, key_j> key_j)
//
// Cost: 4 P d flops forward and 10 P d backward for P = N rounds chunk (1 + before + after) pairs,
// and 2 N d h for h columns of hashes; saves 4 N (rounds + 2) bytes a head. Causal is by position;
// which tokens meet still depends on all of them, so it writes sequences of one chunk at most.
// Source: Kitaev, Kaiser, Levskaya, "Reformer", 2020, section 2, and its code (trax), whose padding
// leaves a shorter chunk at the end of a round, as here. rounds = 2 is that of the Nyströmformer's
// LRA code; LRA's own has 1 and 10 chunks at any length, so no linear cost; the paper up to 8.

#include <cmath>

#include "variants/engine/head_costs.hpp"
#include "variants/engine/lsh.hpp"
#include "variants/engine/reference_softmax.hpp"
#include "variants/engine/softmax_parts.hpp"
#include "variants/engine/sorted_attention.hpp"

namespace arena {
namespace {

constexpr float kEpsilon = 1e-6F;

/// What one head is made of and takes.
struct Sizes {
  Index head_dim, buckets;
  SortedChunks chunks;

  Sizes(Index len, Index width, const Options& options)
      : head_dim(width),
        buckets(options.integer("buckets")),
        chunks(len, options.integer("rounds"), options.integer("chunk"), options.integer("before"),
               options.integer("after")) {}

  Hashing hashing() const {
    const Index whole = std::max(Index{1}, chunks.len / chunks.size);
    return {bucket_factors(buckets > 0 ? buckets : 2 * whole), chunks.rounds};
  }
  Index frame() const {
    return stored_bytes<std::int32_t>(chunks.rounds * chunks.len) +
           softmax_statistics_bytes(chunks.len);
  }
  SoftmaxScratch forward(Index workers, bool saves) const {
    const LshScratch hash = lsh_scratch(hashing(), chunks.len, head_dim, workers);
    const SoftmaxScratch attention = sorted_forward_scratch(chunks, head_dim, workers);
    return added(saves ? 0 : frame(), larger({hash.caller, hash.total}, added(norms(), attention)));
  }
  SoftmaxScratch backward(Index workers) const {
    return added(norms(), sorted_backward_scratch(chunks, head_dim, workers));
  }
  Index norms() const { return stored_bytes<float>(chunks.len); }
};

class Reformer final : public AttentionHead {
 public:
  Reformer(const Setup& setup, const Options& options)
      : causal_(setup.causal), head_dim_(setup.head_dim), options_(options) {
    const Index buckets = options.integer("buckets");
    check(buckets % 2 == 0, "reformer: buckets={} is odd, but they come in opposite pairs",
          buckets);
  }

  std::span<const std::string_view> inputs() const override {
    static constexpr std::array<std::string_view, 2> kInputs{"query", "value"};
    return kInputs;
  }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return footprint_of(sizes_of(extents.key_len), call.team.size());
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras& extras) const override {
    const Sizes sizes = sizes_of(in.value.rows());
    const Index len = sizes.chunks.len, entries = sizes.chunks.rounds * len;
    Workspace& workspace = call.team.workspace();
    const WorkspaceScope scope(workspace);
    const auto order =
        frame ? frame->take<std::int32_t>(entries) : workspace.take<std::int32_t>(entries);
    const View statistics = frame ? frame->matrix(2, len) : workspace.matrix(2, len);
    if (call.plan) {
      const auto frozen = call.plan->find("order");
      check(frozen != call.plan->end(), "reformer: its plan has no 'order'");
      read_order(frozen->second, sizes.chunks.rounds, order);
    } else {
      draw_lsh_order(call.team, sizes.hashing(), in.query, call.key, order);
    }
    if (extras.plan) (*extras.plan)["order"].assign(order.begin(), order.end());
    const auto norms = inverse_norms(call.team, in.query, kEpsilon);
    sorted_forward(call.team, {sizes.chunks, order, norms, causal_}, in, outputs.out, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const SortedChunks chunks = sizes_of(in.value.rows()).chunks;
    FrameReader saved(frame);
    const auto order = saved.take<std::int32_t>(chunks.rounds * chunks.len);
    const ConstView statistics = saved.matrix(2, chunks.len);
    const WorkspaceScope scope(call.team.workspace());
    const auto norms = inverse_norms(call.team, in.query, kEpsilon);
    sorted_backward(call.team, {chunks, order, norms, causal_}, in, d_outputs, statistics, d_in);
  }

 private:
  Sizes sizes_of(Index len) const { return {len, head_dim_, options_}; }

  bool causal_;
  Index head_dim_;
  Options options_;
};

/// Counts all pairs whose chunks see each other, those that positions hide too: they are computed.
double flops(const Problem& p) {
  const Sizes sizes(p.extents.key_len, p.setup.head_dim, p.options);
  const Index hash = 2 * sizes.chunks.len * sizes.hashing().columns() * sizes.head_dim;
  return softmax_flops(p, sizes.chunks.pairs()) + flops_of_heads(p, static_cast<double>(hash), 0);
}

double analytic_bytes(const Problem& p) {
  return bytes_of_heads(p, Sizes(p.extents.key_len, p.setup.head_dim, p.options));
}

using Positions = std::vector<Index>;

/// What each position sees in all rounds of the plan, as often as it sees it.
std::vector<Positions> seen_positions(const Problem& p, const Plan& plan, Index len) {
  const std::vector<std::int64_t>& order = plan.at("order");
  const Index rounds = p.options.integer("rounds"), size = p.options.integer("chunk");
  std::vector<Positions> chunks;
  for (Index place = 0; place < rounds * len; ++place) {
    if (place % len % size == 0) chunks.emplace_back();
    chunks.back().push_back(order[static_cast<std::size_t>(place)]);
  }
  const auto count = static_cast<Index>(chunks.size());
  std::vector<Positions> seen(static_cast<std::size_t>(len));
  for (Index c = 0; c < count; ++c) {
    for (Index ahead = 0; ahead < count; ++ahead) {
      if (ahead > p.options.integer("after") && ahead < count - p.options.integer("before"))
        continue;
      for (const Index i : chunks[static_cast<std::size_t>(c)]) {
        for (const Index j : chunks[static_cast<std::size_t>((c + ahead) % count)]) {
          if (p.setup.causal ? j < i : j != i) seen[static_cast<std::size_t>(i)].push_back(j);
        }
      }
    }
  }
  return seen;
}

MatrixD reference(const Problem& p, const Call& call, const HeadInputs& in, const Weights&) {
  const Index len = in.value.rows();
  const std::vector<Positions> seen = seen_positions(p, *call.plan, len);
  const MatrixD query = in.query.cast<double>(), value = in.value.cast<double>();
  const double added = kEpsilon * static_cast<double>(query.cols());
  const MatrixD unit =
      (query.rowwise().squaredNorm().array() + added).rsqrt().matrix().asDiagonal() * query;
  MatrixD out = value;
  for (Index i = 0; i < len; ++i) {
    const Positions& keys = seen[static_cast<std::size_t>(i)];
    if (keys.empty()) continue;
    const MatrixD scores = query.row(i) * unit(keys, Eigen::all).transpose();
    out.row(i) = reference_softmax(scores) * value(keys, Eigen::all);
  }
  return out;
}

/// Keys of exact attention, which divides by sqrt(head_dim).
void unit_keys(HeadProblem& problem) {
  const Matrix& query = problem.inputs.query;
  const auto width = static_cast<float>(query.cols());
  problem.inputs.key =
      (query.rowwise().squaredNorm().array() / width + kEpsilon).rsqrt().matrix().asDiagonal() *
      query;
}

/// All but itself; itself where there is nothing else.
Edges all_others(const HeadProblem& problem) {
  const Index len = problem.extents.key_len;
  return edges_where(len, len, [&](Index i, Index j) {
    const bool others = problem.setup.causal ? i > 0 : len > 1;
    return others ? (problem.setup.causal ? j < i : j != i) : i == j;
  });
}

const Register<Variant> kReformer{{
    .name = "reformer",
    .summary = "tokens attend those whose queries hash into the same or a neighbouring bucket",
    .family = "learned pattern",
    .year = 2020,
    .cost = "4 P d + 2 N d h flops forward, 10 P d backward, P = N rounds chunk (1 + before + "
            "after), h columns of hashes; saves 4 N (rounds + 2) bytes a head",
    .source = "Kitaev et al., Reformer, 2020, section 2",
    .published_row = "Reformer",
    .decoding_limit = {.longest = [](const Options& options) { return options.integer("chunk"); },
                       .reason = "which tokens share a chunk depends on those that follow"},
    .options = {integer_option("chunk", 64, 1, Index{1} << 30, "tokens of a chunk"),
                integer_option("rounds", 2, 1, 64, "hashes of each token"),
                integer_option("before", 1, 0, Index{1} << 30, "chunks seen before a token's own"),
                integer_option("after", 0, 0, Index{1} << 30, "chunks seen after it"),
                integer_option("buckets", 0, 0, Index{1} << 16,
                               "of a round, even; 0: twice the number of whole chunks")},
    .claims = {.causal = true,
               .convex = true,
               .exact = {{.name = "chunk >= length, before = 0: shared query and key",
                          .options = {{"chunk", "1073741824"}, {"before", "0"}},
                          .edit = unit_keys,
                          .edges = all_others},
                         {.name = "one round, every chunk before: the same",
                          .options = {{"chunk", "16"}, {"rounds", "1"}, {"before", "1073741824"}},
                          .edit = unit_keys,
                          .edges = all_others}},
               .reference = reference},
    .make_head = [](const Setup& setup,
                    const Options& options) { return std::make_unique<Reformer>(setup, options); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
