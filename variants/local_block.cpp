// local_block: each query sees the keys of its own block of `block` positions.
//
//   out_i = sum over j of softmax_j(scale <query_i, key_j>) value_j,
//   floor(i / block) - back <= floor(j / block) <= floor(i / block) + forward;  causal: j <= i
//
// Cost: 4 P d flops forward, 10 P d backward for P pairs seen, about N block (1 + back + forward),
// causal half of the own block less; saves 8 N bytes a head. Each block is a softmax of its own
// over slices of the rows; neighbours are further parts of it. The last block may be short.
// Source: Liu et al., "Generating Wikipedia by summarizing long sequences", 2018, section 4.2.4
// (local attention); the Local row of Long Range Arena, 2020, whose code attends strided groups
// {p : p mod (N / block) = const} instead. Self attention only.

#include "variants/engine/pattern.hpp"

namespace arena {
namespace {

class LocalBlockPattern final : public Pattern {
 public:
  LocalBlockPattern(const Setup& setup, const Options& options)
      : block_(options.integer("block")),
        back_(options.integer("back")),
        stages_(1 + back_ + (setup.causal ? 0 : options.integer("forward"))),
        causal_(setup.causal) {}

  /// Stage 0: own blocks; 1 .. back: the block so many before; then those after.
  Index stages() const override { return stages_; }
  Index parts(Index stage, Index length) const override {
    return std::max(Index{0}, (length + block_ - 1) / block_ - std::abs(offset(stage)));
  }
  PatternPart part(Index stage, Index p, Index length) const override {
    const Index apart = offset(stage);
    const RowSet queries = rows_of(p - std::min(apart, Index{0}), length);
    const RowSet keys = rows_of(p + std::max(apart, Index{0}), length);
    const Extents extents{queries.count, keys.count};
    return {{queries, keys},
            stage == 0 && causal_ ? BandMask::causal(extents) : BandMask::full(extents)};
  }

 private:
  Index offset(Index stage) const { return stage <= back_ ? -stage : stage - back_; }
  RowSet rows_of(Index b, Index length) const {
    return {.first = b * block_, .count = std::min(block_, length - b * block_)};
  }

  Index block_, back_, stages_;
  bool causal_;
};

std::unique_ptr<AttentionHead> make(const Setup& setup, const Options& options) {
  return make_pattern_head("local_block", setup,
                           std::make_unique<LocalBlockPattern>(setup, options));
}

double flops(const Problem& p) {
  return pattern_flops(p, LocalBlockPattern(p.setup, p.options));
}

double analytic_bytes(const Problem& p) {
  return pattern_bytes(p, LocalBlockPattern(p.setup, p.options));
}

Edges edges(const Problem& p, const Call&) {
  const Index block = p.options.integer("block"), back = p.options.integer("back"),
              forward = p.options.integer("forward");
  return edges_where(p.extents.query_len, p.extents.key_len, [&](Index i, Index j) {
    if (p.setup.causal && j > i) return false;
    const Index apart = j / block - i / block;
    return -back <= apart && apart <= forward;
  });
}

const Register<Variant> kLocalBlock{{
    .name = "local_block",
    .summary = "keys of the query's own block of positions, and of `back` and `forward` others",
    .family = "fixed pattern",
    .year = 2018,
    .cost = "4 P d flops forward, 10 P d backward, P = N block (1 + back + forward); "
            "saves 8 N bytes a head",
    .source = "Liu et al., Generating Wikipedia, 2018, section 4.2.4; LRA's Local",
    .published_row = "Local Attention",
    .options = {integer_option("block", 50, 1, Index{1} << 30, "positions of a block"),
                integer_option("back", 0, 0, 1024, "blocks seen before the own"),
                integer_option("forward", 0, 0, 1024, "blocks seen after the own (not causal)")},
    .claims = {.causal = true,
               .log_sum_exp = true,
               .convex = true,
               .pattern = edges,
               .exact = {{.name = "block >= length", .options = {{"block", "1073741824"}}},
                         {.name = "neighbours >= blocks - 1",
                          .options = {{"block", "50"}, {"back", "5"}, {"forward", "5"}}}}},
    .make_head = make,
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
