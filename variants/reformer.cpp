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
// which tokens meet still depends on all of them.
// Source: Kitaev, Kaiser, Levskaya, "Reformer", 2020, section 2, and its code (trax), whose padding
// leaves a shorter chunk at the end of a round, as here. rounds = 2 is that of the Nyströmformer's
// LRA code; LRA's own has 1 and 10 chunks at any length, so no linear cost; the paper up to 8.

#include <cmath>

#include "variants/engine/head_costs.hpp"
#include "variants/engine/lsh.hpp"
#include "variants/engine/reference_softmax.hpp"
#include "variants/engine/sorted_attention.hpp"

namespace arena {
namespace {

constexpr float kEpsilon = 1e-6F;

class Reformer final : public AttentionHead {
 public:
  Reformer(const Setup& setup, const Options& options)
      : causal_(setup.causal),
        head_dim_(setup.head_dim),
        chunk_(options.integer("chunk")),
        rounds_(options.integer("rounds")),
        before_(options.integer("before")),
        after_(options.integer("after")),
        buckets_(options.integer("buckets")) {
    check(buckets_ % 2 == 0, "reformer: buckets={} is odd, but they come in opposite pairs",
          buckets_);
  }

  std::span<const std::string_view> inputs() const override {
    static constexpr std::array<std::string_view, 2> kInputs{"query", "value"};
    return kInputs;
  }

  SortedChunks chunks(Index len) const { return {len, rounds_, chunk_, before_, after_}; }
  Hashing hashing(Index len) const {
    const Index buckets = buckets_ > 0 ? buckets_ : 2 * std::max(Index{1}, len / chunk_);
    return {bucket_factors(buckets), rounds_};
  }

  Index frame_bytes(Index len) const {
    return stored_bytes<std::int32_t>(rounds_ * len) + softmax_statistics_bytes(len);
  }
  /// Bytes of scratch with a team of `workers`, at most; what the frame has is not in it.
  SoftmaxScratch scratch(Index len, Index workers, Pass pass) const {
    const bool forward = pass == Pass::kForward;
    const LshScratch hash = lsh_scratch(hashing(len), len, head_dim_, workers);
    const SoftmaxScratch attention = forward
                                         ? sorted_forward_scratch(chunks(len), head_dim_, workers)
                                         : sorted_backward_scratch(chunks(len), head_dim_, workers);
    const Index norms = stored_bytes<float>(len);
    return {std::max(hash.caller, norms + attention.caller),
            std::max(hash.total, norms + attention.total)};
  }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const Index len = extents.key_len, workers = call.team.size();
    return {.frame = frame_bytes(len),
            .scratch = std::max(scratch(len, workers, Pass::kForward).caller + frame_bytes(len),
                                scratch(len, workers, Pass::kBackward).caller)};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras& extras) const override {
    const Index len = in.value.rows(), entries = rounds_ * len;
    Workspace& workspace = call.team.workspace();
    const WorkspaceScope scope(workspace);
    const auto order =
        frame ? frame->take<std::int32_t>(entries) : workspace.take<std::int32_t>(entries);
    const View statistics = frame ? frame->matrix(2, len) : workspace.matrix(2, len);
    make_order(call, in.query, order);
    if (extras.plan) (*extras.plan)["order"].assign(order.begin(), order.end());
    sorted_forward(call.team, {chunks(len), order, inverse_norms(call.team, in.query), causal_}, in,
                   outputs.out, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const Index len = in.value.rows();
    FrameReader saved(frame);
    const auto order = saved.take<std::int32_t>(rounds_ * len);
    const ConstView statistics = saved.matrix(2, len);
    const WorkspaceScope scope(call.team.workspace());
    sorted_backward(call.team, {chunks(len), order, inverse_norms(call.team, in.query), causal_},
                    in, d_outputs, statistics, d_in);
  }

 private:
  /// a_j of all rows, on the team's workspace.
  static std::span<const float> inverse_norms(const Team& team, const ConstView& query) {
    const auto norms = team.workspace().take<float>(query.rows());
    const float added = kEpsilon * static_cast<float>(query.cols());
    for (Index j = 0; j < query.rows(); ++j) {
      norms[static_cast<std::size_t>(j)] = 1 / std::sqrt(query.row(j).squaredNorm() + added);
    }
    return norms;
  }

  void make_order(const Call& call, const ConstView& query, std::span<std::int32_t> order) const {
    if (!call.plan) return draw_lsh_order(call.team, hashing(query.rows()), query, call.key, order);
    const auto frozen = call.plan->find("order");
    check(frozen != call.plan->end(), "reformer: its plan has no 'order'");
    read_order(frozen->second, rounds_, order);
  }

  bool causal_;
  Index head_dim_, chunk_, rounds_, before_, after_, buckets_;
};

/// Counts all pairs whose chunks see each other, those that positions hide too: they are computed.
double flops(const Problem& p) {
  const Reformer head(p.setup, p.options);
  const Index len = p.extents.key_len;
  const auto pairs = static_cast<double>(head.chunks(len).pairs());
  const auto hash = static_cast<double>(2 * len * head.hashing(len).columns());
  const auto width = static_cast<double>(p.setup.head_dim);
  return flops_of_heads(p, width * (4 * pairs + hash), width * 10 * pairs);
}

double analytic_bytes(const Problem& p) {
  const Reformer head(p.setup, p.options);
  const Index len = p.extents.key_len, heads = p.setup.num_heads, frame = head.frame_bytes(len);
  const bool one_worker_each = heads >= p.workers, trains = p.pass != Pass::kForward;
  const Index inner = one_worker_each ? 1 : p.workers, callers = one_worker_each ? p.workers : 1;
  const Index forward = head.scratch(len, inner, Pass::kForward).total;
  const Index backward = head.scratch(len, inner, Pass::kBackward).total;
  return static_cast<double>(trains ? heads * frame + callers * std::max(forward, backward)
                                    : callers * (frame + forward));
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
