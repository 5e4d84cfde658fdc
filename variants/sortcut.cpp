// sortcut: every query attends to the first blocks of a learned order, and to nothing else.
//
//   P = weights of sinkhorn's sort net (engine/block_sort.hpp)
//   mixture_i = sum over l of P_il block_l, of keys and of values, for i < cut
//   out = softmax of all queries over the rows of these mixtures
//
// Cost: 4 N cut b d + 4 M cut d flops forward, 10 N cut b d + 8 M cut d backward; saves 8 cut b d +
// 8 N + 4 (M / b)^2 bytes a head. The first blocks are drawn from all others, so it cannot be
// causal. Source: Tay, Bahri, Yang, Metzler, Juan, "Sparse Sinkhorn Attention", ICML 2020,
// section 3.4.

#include <cmath>

#include "variants/engine/block_mixing.hpp"
#include "variants/engine/block_sort.hpp"
#include "variants/engine/head_costs.hpp"
#include "variants/engine/reference_block_sort.hpp"
#include "variants/engine/reference_softmax.hpp"
#include "variants/engine/softmax_parts.hpp"

namespace arena {
namespace {

/// What one call is made of.
struct Layout {
  Index query_len;
  SortedBlocks blocks;
  Index cut;
  BlockSort sort;

  Layout(const Extents& extents, const Setup& setup, const Options& options)
      : query_len(extents.query_len),
        blocks{.len = extents.key_len,
               .block = options.integer("block"),
               .head_dim = setup.head_dim,
               .causal = false,
               .added = false,
               .scale = 1 / std::sqrt(static_cast<float>(setup.head_dim))},
        cut(std::min(options.integer("cut"), blocks.count())),
        sort(blocks, options.integer("iterations"),
             static_cast<float>(options.real("temperature"))) {}

  BlockGroup first() const { return {blocks, {0, cut}}; }
  Extents mixed() const { return {query_len, cut * blocks.mixture_rows()}; }

  Index frame() const {
    return sort.frame_bytes() + mixed_bytes(blocks, cut) + softmax_statistics_bytes(query_len);
  }
  SoftmaxScratch forward(Index workers, bool saves) const {
    return sort.forward_scratch(saves,
                                added(saves ? 0 : mixed_bytes(blocks, cut),
                                      softmax_forward_scratch(mixed(), blocks.head_dim, workers)));
  }
  SoftmaxScratch backward(Index workers) const {
    return sort.backward_scratch(
        added(mixed_bytes(blocks, cut),
              softmax_backward_scratch(mixed(), blocks.head_dim, query_len, workers)));
  }
};

class SortCut final : public AttentionHead {
 public:
  SortCut(const Setup& setup, const Options& options) : setup_(setup), options_(options) {
    const Extents longest{setup.max_len, setup.max_len};
    const Index max_blocks = Layout(longest, setup, options).blocks.count();
    specs_ = {{"sort", setup.head_dim, max_blocks, Init::xavier(), Sharing::kHead}};
  }

  std::span<const ParameterSpec> parameters() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return footprint_of(Layout(extents, setup_, options_), call.team.size());
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Layout layout = layout_of(in);
    Workspace& workspace = call.team.workspace();
    const WorkspaceScope scope(workspace);
    const auto noise =
        call.training && options_.on("gumbel") ? std::optional(call.key) : std::nullopt;
    const BlockMixture<View> mixture =
        layout.sort.forward(call.team, in.key, weights.parameters[0], noise, frame);
    const auto mixed = frame ? MixedRows<View>::take(*frame, layout.blocks, layout.cut)
                             : MixedRows<View>::take(workspace, layout.blocks, layout.cut);
    const View statistics = frame ? frame->matrix(2, layout.query_len) : View();
    mix_blocks(call.team, layout.first(), {mixture.weights, mixture.partial}, in, mixed);
    softmax_forward(call.team, {in.query, mixed.key, mixed.value}, layout.blocks.scale,
                    BandMask::full(layout.mixed()), outputs, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    const Layout layout = layout_of(in);
    Workspace& workspace = call.team.workspace();
    const WorkspaceScope scope(workspace);
    FrameReader saved(frame);
    const BlockSort::Backward sort = layout.sort.backward_begin(call.team, saved);
    const auto mixed = MixedRows<ConstView>::take(saved, layout.blocks, layout.cut);
    const ConstView statistics = saved.matrix(2, layout.query_len);
    const auto d_mixed = MixedRows<View>::take(workspace, layout.blocks, layout.cut);
    softmax_backward(call.team, {in.query, mixed.key, mixed.value}, layout.blocks.scale,
                     BandMask::full(layout.mixed()), d_outputs, statistics,
                     {d_in.query, d_mixed.key, d_mixed.value});
    d_in.key.setZero();
    d_in.value.setZero();
    mix_blocks_backward(call.team, layout.first(), {sort.mixture.weights, sort.mixture.partial}, in,
                        d_mixed, d_in, sort.d_mixture);
    layout.sort.backward_end(call.team, sort, weights.parameters[0], grads[0], d_in.key);
  }

 private:
  Layout layout_of(const HeadInputs& in) const {
    check(in.key.rows() <= setup_.max_len, "sortcut: {} keys, but its blocks are for max_len {}",
          in.key.rows(), setup_.max_len);
    return {extents_of(in), setup_, options_};
  }

  Setup setup_;
  Options options_;
  std::vector<ParameterSpec> specs_;
};

MatrixD reference(const Problem& p, const Call& call, const HeadInputs& in,
                  const Weights& weights) {
  const MatrixD k = in.key.cast<double>(), v = in.value.cast<double>();
  const MatrixD sorted = reference_sort(p, call, k, weights.parameters[0].cast<double>());
  const Index cut = std::min(p.options.integer("cut"), sorted.rows());
  const Index rows = reference_mixture(p, sorted, k, 0).rows();
  MatrixD key(cut * rows, k.cols()), value(cut * rows, v.cols());
  for (Index i = 0; i < cut; ++i) {
    key.middleRows(i * rows, rows) = reference_mixture(p, sorted, k, i);
    value.middleRows(i * rows, rows) = reference_mixture(p, sorted, v, i);
  }
  return reference_softmax(reference_scores(in.query.cast<double>(), key)) * value;
}

constexpr Index kSortedBlock = 8;

void sort_to_previous(HeadProblem& problem) {
  sort_to_previous(problem, kSortedBlock);
}

/// Blocks 0 and 1 are the last one and the first.
Edges last_and_first(const HeadProblem& problem) {
  const auto [query_len, key_len] = problem.extents;
  const Index last = key_len - kSortedBlock;
  return edges_where(query_len, key_len,
                     [=](Index, Index j) { return j < kSortedBlock || j >= last; });
}

double flops(const Problem& p) {
  const Layout layout(p.extents, p.setup, p.options);
  const auto d = static_cast<double>(p.setup.head_dim);
  const auto count = static_cast<double>(layout.blocks.count());
  const double sort = 2 * count * count * d, mixing = layout.first().mixing_flops();
  const double product = 2 * d * static_cast<double>(layout.query_len * layout.mixed().key_len);
  return flops_of_heads(p, sort + mixing + 2 * product, 2 * sort + 2 * mixing + 5 * product);
}

double analytic_bytes(const Problem& p) {
  return bytes_of_heads(p, Layout(p.extents, p.setup, p.options));
}

const Register<Variant> kSortCut{{
    .name = "sortcut",
    .summary = "all queries attend to the first blocks of a learned order",
    .family = "learned pattern",
    .year = 2020,
    .cost = "4 N cut b d + 4 M cut d flops forward, 10 N cut b d + 8 M cut d backward; saves "
            "8 cut b d + 8 N + 4 (M / b)^2 bytes a head",
    .source = "Tay et al., Sparse Sinkhorn Attention, ICML 2020, section 3",
    .options = {integer_option("block", 50, 1, Index{1} << 20, "rows of a block, b"),
                integer_option("cut", 2, 1, Index{1} << 20, "sorted blocks that are kept"),
                integer_option("iterations", 8, 0, 64,
                               "rounds of normalisation; 0: softmax of rows"),
                real_option("temperature", 0.75, 0.01, 100, "of the sorting logits"),
                switch_option("gumbel", true, "noise on the sorting logits in training")},
    .claims = {.cross = true,
               .convex = true,
               .exact = {{.name = "one block", .options = {{"block", "1024"}}},
                         {.name = "sorted to the previous block",
                          .options = {{"block", "8"}},
                          .extents = {48, 48},
                          .edit = sort_to_previous,
                          .edges = last_and_first}},
               .reference = reference},
    .make_head = [](const Setup& setup,
                    const Options& options) { return std::make_unique<SortCut>(setup, options); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
