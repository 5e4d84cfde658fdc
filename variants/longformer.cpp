// longformer: a sliding window, and global positions that see all and are seen by all.
//
//   i not global: out_i = sum over j of softmax_j(scale <query_i, key_j>) value_j,
//                 |i - j| <= window or j global; each key is counted once
//   i global:     out_i = sum over all j of softmax_j(scale <global_query_i, global_key_j>)
//                 global_value_j
//
// Cost: 4 P d flops forward, 10 P d backward for P pairs seen, about N (2 window + 1 + 2 G) for G
// global positions; saves 8 N + 4 G bytes a head. Global positions are those of the call, else the
// first `globals`. Their projections are inputs of their own. Source: Beltagy, Peters,
// Cohan, "Longformer", 2020, section 3.1. `window` counts one side, as in its code: 256 is the
// window of 512 of Long Range Arena, whose code had no global position. Self attention only.

#include <cmath>

#include "variants/engine/global_mask.hpp"
#include "variants/engine/head_costs.hpp"
#include "variants/engine/reference_softmax.hpp"
#include "variants/engine/softmax_parts.hpp"

namespace arena {
namespace {

PartRows of_globals(Index length, Positions globals) {
  return {RowSet::list(globals), RowSet::all(length)};
}

/// What one head takes.
struct Sizes {
  Index length, window, globals, head_dim;

  Index frame() const {
    return softmax_statistics_bytes(length) + stored_bytes<std::int32_t>(globals);
  }
  SoftmaxScratch forward(Index workers, bool saves) const {
    const SoftmaxScratch of_all = softmax_forward_scratch({length, length}, head_dim, workers);
    const SoftmaxScratch of_globals = softmax_part_forward_scratch(rows(), head_dim, workers);
    return added(saves ? 0 : frame(), globals > 0 ? larger(of_all, of_globals) : of_all);
  }
  SoftmaxScratch backward(Index workers) const {
    const Extents all{length, length};
    const Index reach =
        globals > 0 ? length : softmax_chunk_reach(BandMask(all, window, window), all);
    const SoftmaxScratch of_all = softmax_backward_scratch(all, head_dim, reach, workers);
    if (globals == 0) return of_all;
    return larger(of_all, softmax_part_backward_scratch(rows(), head_dim, globals, workers));
  }
  /// Pairs of positions that see each other.
  Index pairs() const {
    Index sum = globals * length;
    for (Index i = globals; i < length; ++i) {
      sum += std::min(length, i + window + 1) - std::max(globals, i - window) + globals;
    }
    return sum;
  }

 private:
  PartRows rows() const { return {RowSet::any(globals), RowSet::all(length)}; }
};

class Longformer final : public AttentionHead {
 public:
  Longformer(const Setup& setup, const Options& options)
      : window_(options.integer("window")),
        globals_(options.integer("globals")),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {}

  std::span<const std::string_view> inputs() const override {
    static constexpr std::array<std::string_view, 6> kNames{
        "query", "key", "value", "global_query", "global_key", "global_value"};
    return kNames;
  }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return footprint_of(sizes_of(call, extents.key_len), call.team.size());
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Index length = in.key.rows(), count = count_globals(call, globals_, length);
    Workspace& workspace = call.team.workspace();
    const WorkspaceScope scope(workspace);
    const View statistics = frame ? frame->matrix(2, length) : workspace.matrix(2, length);
    const std::span<std::int32_t> globals =
        frame ? frame->take<std::int32_t>(count) : workspace.take<std::int32_t>(count);
    list_globals(call, length, globals);
    softmax_forward(call.team, in, scale_, WindowAndGlobals(length, window_, globals), outputs,
                    statistics);
    if (count == 0) return;
    const PartRows rows = of_globals(length, globals);
    softmax_part_forward(call.team, global(in), scale_, rows, BandMask::full(rows.extents()),
                         outputs, statistics, Output::kOverwrite);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const Index length = in.key.rows(), count = count_globals(call, globals_, length);
    FrameReader saved(frame);
    const ConstView statistics = saved.matrix(2, length);
    const Positions globals = saved.take<std::int32_t>(count);
    softmax_backward(call.team, in, scale_, WindowAndGlobals(length, window_, globals), d_outputs,
                     statistics, d_in);
    d_in.extra[0].setZero();
    if (count == 0) {
      d_in.extra[1].setZero();
      d_in.extra[2].setZero();
      return;
    }
    const PartRows rows = of_globals(length, globals);
    softmax_part_backward(call.team, global(in), scale_, rows, BandMask::full(rows.extents()),
                          d_outputs, statistics, {d_in.extra[0], d_in.extra[1], d_in.extra[2]},
                          Output::kOverwrite);
  }

 private:
  static HeadInputs global(const HeadInputs& in) { return {in.extra[0], in.extra[1], in.extra[2]}; }

  Sizes sizes_of(const Call& call, Index length) const {
    return {length, window_, count_globals(call, globals_, length), head_dim_};
  }

  Index window_, globals_, head_dim_;
  float scale_;
};

Sizes sizes_of(const Problem& p) {
  const Index length = p.extents.key_len;
  return {length, p.options.integer("window"), std::min(p.options.integer("globals"), length),
          p.setup.head_dim};
}

double flops(const Problem& p) {
  return softmax_flops(p, sizes_of(p).pairs());
}

double analytic_bytes(const Problem& p) {
  return bytes_of_heads(p, sizes_of(p));
}

bool is_global(const Problem& p, std::span<const std::int64_t> given, Index i) {
  return given.empty() ? i < p.options.integer("globals")
                       : std::ranges::find(given, i) != given.end();
}

/// Position by position, in double.
MatrixD reference(const Problem& p, const Call& call, const HeadInputs& in, const Weights&) {
  std::array<MatrixD, 6> x;
  for (std::size_t slot = 0; slot < x.size(); ++slot) {
    x[slot] = in[static_cast<Index>(slot)].cast<double>();
  }
  MatrixD out(in.value.rows(), in.value.cols());
  for (Index i = 0; i < out.rows(); ++i) {
    const std::size_t first = is_global(p, call.globals, i) ? 3 : 0;
    MatrixD scores = reference_scores(x[first].row(i), x[first + 1]);
    for (Index j = 0; j < scores.cols() && first == 0; ++j) {
      const bool near = std::abs(i - j) <= p.options.integer("window");
      if (!near && !is_global(p, call.globals, j)) scores(0, j) = kHiddenScore;
    }
    out.row(i) = reference_softmax(std::move(scores)) * x[first + 2];
  }
  return out;
}

void share_projections(HeadProblem& problem) {
  auto& inputs = problem.inputs;
  inputs.extra = {inputs.query, inputs.key, inputs.value};
}

void use_global_projections(HeadProblem& problem) {
  auto& inputs = problem.inputs;
  inputs.query = inputs.extra[0], inputs.key = inputs.extra[1], inputs.value = inputs.extra[2];
}

Edges window_of_5_and_3_globals(const HeadProblem& problem) {
  return edges_where(problem.extents.query_len, problem.extents.key_len,
                     [](Index i, Index j) { return std::abs(i - j) <= 5 || i < 3 || j < 3; });
}

const Register<Variant> kLongformer{{
    .name = "longformer",
    .summary = "sliding window, and global positions with projections of their own",
    .family = "fixed pattern + memory",
    .year = 2020,
    .cost = "4 P d flops forward, 10 P d backward, P = N (2 window + 1 + 2 G), G global positions; "
            "saves 8 N + 4 G bytes a head",
    .source = "Beltagy et al., Longformer, 2020, section 3.1",
    .published_row = "Longformer",
    .decode = true,
    .options = {integer_option("window", 256, 0, Index{1} << 30,
                               "keys seen on each side of a query"),
                integer_option("globals", 1, 0, Index{1} << 30,
                               "first positions that are global, where the call names none")},
    .claims = {.exact = {{.name = "no global position, window >= length",
                          .options = {{"window", "1073741824"}, {"globals", "0"}}},
                         {.name = "global projections := local, window >= length",
                          .options = {{"window", "1073741824"}, {"globals", "5"}},
                          .edit = share_projections},
                         {.name = "global projections := local",
                          .options = {{"window", "5"}, {"globals", "3"}},
                          .edit = share_projections,
                          .edges = window_of_5_and_3_globals},
                         {.name = "all positions global",
                          .options = {{"globals", "1073741824"}},
                          .edit = use_global_projections}},
               .reference = reference},
    .make_head =
        [](const Setup& setup, const Options& options) {
          return std::make_unique<Longformer>(setup, options);
        },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
