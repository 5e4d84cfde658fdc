// fixed: the own block of `block` positions and the last `summary` positions of every block.
//
//   out_i = sum over j of softmax_j(scale <query_i, key_j>) value_j,
//   floor(j / block) = floor(i / block) or j mod block >= block - summary;
//   causal, as published: and j <= i
//
// Cost: 4 P d flops forward, 10 P d backward for P pairs seen, causal about
// N (block + N summary / block) / 2, not causal twice that; each pair is counted once; saves 8 N
// bytes a head, and copies the summary keys. Own blocks are softmaxes of their own; what the
// summaries of the other blocks add is merged by log-sum-exp. Not causal is an extension. Source:
// Child, Gray, Radford, Sutskever, "Generating long sequences with Sparse Transformers", 2019,
// section 4.2: both patterns merged in every head; the Sparse Transformer row of Long Range Arena,
// 2020, whose code also admits the first position of each block. Self attention only.

#include "variants/engine/pattern.hpp"

namespace arena {
namespace {

class FixedPattern final : public Pattern {
 public:
  FixedPattern(const Setup& setup, const Options& options)
      : block_(options.integer("block")),
        summary_(std::min(options.integer("summary"), block_)),
        causal_(setup.causal) {}

  Index stages() const override { return 2; }
  Index parts(Index stage, Index length) const override {
    return stage == 0 ? (length + block_ - 1) / block_ : Index{length > block_};
  }
  PatternPart part(Index stage, Index p, Index length) const override {
    if (stage == 0) {
      const Index first = p * block_, count = std::min(block_, length - first);
      const RowSet rows{.first = first, .count = count};
      return {{rows, rows},
              causal_ ? BandMask::causal({count, count}) : BandMask::full({count, count})};
    }
    const RowSet summaries = RowSet::block_ends(summary_, block_, length);
    using Blocks = OtherBlocksMask::Blocks;
    return {{RowSet::all(length), summaries},
            OtherBlocksMask({length, summaries.count}, block_, summary_,
                            causal_ ? Blocks::kEarlier : Blocks::kOther)};
  }

 private:
  Index block_, summary_;
  bool causal_;
};

std::unique_ptr<AttentionHead> make(const Setup& setup, const Options& options) {
  return make_pattern_head("fixed", setup, std::make_unique<FixedPattern>(setup, options));
}

double flops(const Problem& p) {
  return pattern_flops(p, FixedPattern(p.setup, p.options));
}

double analytic_bytes(const Problem& p) {
  return pattern_bytes(p, FixedPattern(p.setup, p.options));
}

Edges edges(const Problem& p, const Call&) {
  const Index block = p.options.integer("block"), summary = p.options.integer("summary");
  return edges_where(p.extents.query_len, p.extents.key_len, [&](Index i, Index j) {
    if (p.setup.causal && j > i) return false;
    return i / block == j / block || j % block >= block - summary;
  });
}

const Register<Variant> kFixed{{
    .name = "fixed",
    .summary = "keys of the query's own block, and the last `summary` keys of every block",
    .family = "fixed pattern",
    .year = 2019,
    .cost = "4 P d flops forward, 10 P d backward, P = N (block + N summary / block), causal half; "
            "saves 8 N bytes a head",
    .source = "Child et al., Sparse Transformers, 2019, section 4.2; LRA's Sparse Transformer",
    .published_row = "Sparse Trans.",
    .options = {integer_option("block", 50, 1, Index{1} << 30, "positions of a block"),
                integer_option("summary", 10, 1, Index{1} << 30,
                               "last keys of a block that all queries see; at most block")},
    .claims = {.causal = true,
               .log_sum_exp = true,
               .convex = true,
               .pattern = edges,
               .exact = {{.name = "block >= length", .options = {{"block", "1073741824"}}},
                         {.name = "summary = block",
                          .options = {{"block", "7"}, {"summary", "7"}}}}},
    .make_head = make,
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
