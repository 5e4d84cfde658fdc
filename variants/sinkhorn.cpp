// sinkhorn: each block attends to itself and to a learned, nearly doubly stochastic mixture of
// blocks: a soft permutation.
//
//   s_i = mean of the keys of block i (causal: of all keys up to its first one)  [blocks, d]
//   r = s W / temperature + Gumbel noise (training),  W [d, max_blocks]
//   r after T rounds of Sinkhorn's normalisation of rows and columns (engine/sinkhorn_balance.hpp)
//   P = softmax of the rows of r,  mixture_i = sum over l of P_il block_l, of keys and of values
//   out_i = softmax over [mixture_i; block i] (concat), or the sum of two softmaxes (sum)
//
// That last softmax makes rows of P sum to 1, which T rounds do only nearly; where the last block
// is short, it runs over the blocks that have the row. T = 0 is the row softmax that Long Range
// Arena ran. Causal: l < i, a column's sum runs over rows up to i, and block 0 finds a learned null
// key and value in place of a mixture.
//
// Cost: 8 N b d + 4 N d (N / b) flops forward, 20 N b d + 12 N d (N / b) backward (causal: about
// 3/4 and half); saves 8 N + 4 (N / b)^2 bytes a head (sum: 4 N d + 8 N more). Self attention only.
// The paper sums the keys of a block where this takes their mean: only the scale of W differs, and
// short blocks and causal prefixes stay comparable.
// Source: Tay, Bahri, Yang, Metzler, Juan, "Sparse Sinkhorn Attention", ICML 2020, section 3.

#include <cmath>

#include "variants/engine/block_sort.hpp"
#include "variants/engine/head_costs.hpp"
#include "variants/engine/reference_block_sort.hpp"
#include "variants/engine/reference_softmax.hpp"

namespace arena {
namespace {

/// What one call is made of.
struct Layout {
  SortedBlocks blocks;
  BlockSort sort;

  Layout(Index len, const Setup& setup, const Options& options)
      : blocks{.len = len,
               .block = options.integer("block"),
               .head_dim = setup.head_dim,
               .causal = setup.causal,
               .added = options.text("combine") == "sum",
               .scale = 1 / std::sqrt(static_cast<float>(setup.head_dim))},
        sort(blocks, options.integer("iterations"),
             static_cast<float>(options.real("temperature"))) {}

  Index frame() const { return sort.frame_bytes() + blocks.frame_bytes(); }
  SoftmaxScratch forward(Index workers, bool saves) const {
    return sort.forward_scratch(saves, blocks.forward_scratch(workers));
  }
  SoftmaxScratch backward(Index workers) const {
    return sort.backward_scratch(blocks.backward_scratch(workers));
  }
};

class Sinkhorn final : public AttentionHead {
 public:
  Sinkhorn(const Setup& setup, const Options& options) : setup_(setup), options_(options) {
    const Index max_blocks = Layout(setup.max_len, setup, options).blocks.count();
    specs_ = {{"sort", setup.head_dim, max_blocks, Init::xavier(), Sharing::kHead}};
    if (!setup.causal) return;
    specs_.push_back({"null_key", 1, setup.head_dim, Init::normal(1), Sharing::kHead});
    specs_.push_back({"null_value", 1, setup.head_dim, Init::normal(1), Sharing::kHead});
  }

  std::span<const ParameterSpec> parameters() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return footprint_of(Layout(extents.query_len, setup_, options_), call.team.size());
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Layout layout = layout_of(in);
    const WorkspaceScope scope(call.team.workspace());
    const auto noise =
        call.training && options_.on("gumbel") ? std::optional(call.key) : std::nullopt;
    const BlockMixture<View> mixture =
        layout.sort.forward(call.team, in.key, weights.parameters[0], noise, frame);
    sorted_blocks_forward(call.team, layout.blocks, in,
                          with_null<ConstView>(mixture, weights.parameters), outputs.out, frame);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    const Layout layout = layout_of(in);
    const WorkspaceScope scope(call.team.workspace());
    FrameReader saved(frame);
    const BlockSort::Backward sort = layout.sort.backward_begin(call.team, saved);
    sorted_blocks_backward(call.team, layout.blocks, in,
                           with_null<ConstView>(sort.mixture, weights.parameters), d_outputs, saved,
                           d_in, with_null<View>(sort.d_mixture, grads));
    layout.sort.backward_end(call.team, sort, weights.parameters[0], grads[0], d_in.key);
  }

 private:
  Layout layout_of(const HeadInputs& in) const {
    if (in.query.rows() != in.key.rows()) {
      throw Error(fmt::format("sinkhorn needs as many keys as queries, not {} keys and {} queries",
                              in.key.rows(), in.query.rows()),
                  Failure::kUnsupported);
    }
    check(in.key.rows() <= setup_.max_len, "sinkhorn: {} keys, but its blocks are for max_len {}",
          in.key.rows(), setup_.max_len);
    return {in.key.rows(), setup_, options_};
  }

  /// Parameters or their gradients in the place of the null rows.
  template <class AnyView>
  BlockMixture<AnyView> with_null(const BlockMixture<View>& mixture, const auto& slices) const {
    if (!setup_.causal) return {mixture.weights, mixture.partial};
    return {mixture.weights, mixture.partial, slices[1], slices[2]};
  }

  Setup setup_;
  Options options_;
  std::vector<ParameterSpec> specs_;
};

MatrixD attend(const MatrixD& query, const MatrixD& key, const MatrixD& value) {
  return reference_softmax(reference_scores(query, key)) * value;
}

MatrixD reference(const Problem& p, const Call& call, const HeadInputs& in,
                  const Weights& weights) {
  const MatrixD q = in.query.cast<double>(), k = in.key.cast<double>(), v = in.value.cast<double>();
  const ConstSlices& w = weights.parameters;
  const MatrixD r = reference_sort(p, call, k, w[0].cast<double>());
  const Index b = p.options.integer("block"), n = q.rows();
  const bool joined = p.options.text("combine") == "concat";
  MatrixD out(n, v.cols());
  for (Index block = 0; block < r.rows(); ++block) {
    const bool null = p.setup.causal && block == 0;
    const MatrixD mixed_key =
        null ? MatrixD(w[1].cast<double>()) : reference_mixture(p, r, k, block);
    const MatrixD mixed_value =
        null ? MatrixD(w[2].cast<double>()) : reference_mixture(p, r, v, block);
    const Index begin = block * b, end = std::min(n, begin + b), rows = mixed_key.rows();
    for (Index i = begin; i < end; ++i) {
      const Index own = p.setup.causal ? i + 1 - begin : end - begin;
      MatrixD key(rows + own, k.cols()), value(rows + own, v.cols());
      key << mixed_key, k.middleRows(begin, own);
      value << mixed_value, v.middleRows(begin, own);
      out.row(i) = joined ? attend(q.row(i), key, value) : attend(q.row(i), mixed_key, mixed_value);
      if (!joined) out.row(i) += attend(q.row(i), key.bottomRows(own), value.bottomRows(own));
    }
  }
  return out;
}

/// Causal: no query scores the null key, which exact attention does not have.
void hide_null(HeadProblem& problem) {
  if (!problem.setup.causal) return;
  problem.inputs.query.col(0).setOnes();
  problem.inputs.key.col(0).setZero();
  problem.parameters[1].setZero();
  problem.parameters[1](0, 0) = -1e4F;
}

constexpr Index kSortedBlock = 8;

void sort_to_previous(HeadProblem& problem) {
  hide_null(problem);
  sort_to_previous(problem, kSortedBlock);
}

Edges previous_and_own(const HeadProblem& problem) {
  const auto [query_len, key_len] = problem.extents;
  const Index count = key_len / kSortedBlock;
  return edges_where(query_len, key_len, [&](Index i, Index j) {
    const Index block = i / kSortedBlock, other = j / kSortedBlock;
    if (problem.setup.causal && j > i) return false;
    return other == block || other == (block + count - 1) % count;
  });
}

double flops(const Problem& p) {
  const SortedBlocks blocks = Layout(p.extents.key_len, p.setup, p.options).blocks;
  const auto count = static_cast<double>(blocks.count());
  const double sort = 2 * count * count * static_cast<double>(p.setup.head_dim);
  const double forward = blocks.flops_forward() + sort;
  const double backward = blocks.flops_backward() + 2 * sort;
  return flops_of_heads(p, forward, backward);
}

double analytic_bytes(const Problem& p) {
  return bytes_of_heads(p, Layout(p.extents.key_len, p.setup, p.options));
}

const Register<Variant> kSinkhorn{{
    .name = "sinkhorn",
    .summary = "each block attends to itself and to a learned mixture of blocks",
    .family = "learned pattern",
    .year = 2020,
    .cost = "8 N b d + 4 N d (N / b) flops forward, 20 N b d + 12 N d (N / b) backward; saves "
            "8 N + 4 (N / b)^2 bytes a head",
    .source = "Tay et al., Sparse Sinkhorn Attention, ICML 2020, section 3",
    .published_row = "Sinkhorn Trans.",
    .options = {integer_option("block", 50, 1, Index{1} << 20, "rows of a block, b"),
                integer_option("iterations", 8, 0, 64,
                               "rounds of normalisation; 0: softmax of rows, as in LRA"),
                real_option("temperature", 0.75, 0.01, 100, "of the sorting logits"),
                choice_option("combine", "concat", {"concat", "sum"},
                              "one softmax over both blocks, or the sum of two"),
                switch_option("gumbel", true, "noise on the sorting logits in training")},
    .claims = {.causal = true,
               .exact = {{.name = "one block",
                          .options = {{"block", "1024"}, {"combine", "concat"}},
                          .edit = hide_null},
                         {.name = "sorted to the previous block",
                          .options = {{"block", "8"}, {"combine", "concat"}},
                          .extents = {48, 48},
                          .edit = sort_to_previous,
                          .edges = previous_and_own}},
               .reference = reference},
    .make_head = [](const Setup& setup,
                    const Options& options) { return std::make_unique<Sinkhorn>(setup, options); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
