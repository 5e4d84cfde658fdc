// strided: the nearest keys and every `stride`-th one.
//
//   out_i = sum over j of softmax_j(scale <query_i, key_j>) value_j,
//   |i - j| < stride or (i - j) mod stride = 0;  causal, as published: and j <= i
//
// Cost: 4 P d flops forward, 10 P d backward for P pairs seen, causal about
// N (stride + N / (2 stride)), not causal twice that; each pair is counted once; saves 8 N bytes a
// head. The far keys of a query are its residue class modulo `stride` without itself: sequences of
// their own, merged with the window by log-sum-exp. Not causal is an extension. Source: Child,
// Gray, Radford, Sutskever, "Generating long sequences with Sparse Transformers", 2019, section
// 4.2: both patterns merged in every head. Self attention only.

#include "variants/engine/pattern.hpp"

namespace arena {
namespace {

class StridedPattern final : public Pattern {
 public:
  StridedPattern(const Setup& setup, const Options& options)
      : stride_(options.integer("stride")), causal_(setup.causal) {}

  Index stages() const override { return 2; }
  Index parts(Index stage, Index length) const override {
    return stage == 0 ? 1 : far(length).count();
  }
  PatternPart part(Index stage, Index p, Index length) const override {
    if (stage == 0) {
      const RowSet rows = RowSet::all(length);
      return {{rows, rows}, BandMask({length, length}, stride_ - 1, causal_ ? 0 : stride_ - 1)};
    }
    const auto [rows, number, each] = far(length)[p];
    return {
        {rows, rows},
        StackedBandMask(number, each, length, causal_ ? 0 : length, StackedBandMask::Own::kHidden)};
  }

 private:
  /// The classes that have keys beside the query's own.
  ResidueGroups far(Index length) const { return {length, stride_, 2}; }

  Index stride_;
  bool causal_;
};

std::unique_ptr<AttentionHead> make(const Setup& setup, const Options& options) {
  return make_pattern_head("strided", setup, std::make_unique<StridedPattern>(setup, options));
}

double flops(const Problem& p) {
  return pattern_flops(p, StridedPattern(p.setup, p.options));
}

double analytic_bytes(const Problem& p) {
  return pattern_bytes(p, StridedPattern(p.setup, p.options));
}

Edges edges(const Problem& p, const Call&) {
  const Index stride = p.options.integer("stride");
  return edges_where(p.extents.query_len, p.extents.key_len, [&](Index i, Index j) {
    if (p.setup.causal && j > i) return false;
    return std::abs(i - j) < stride || (i - j) % stride == 0;
  });
}

const Register<Variant> kStrided{{
    .name = "strided",
    .summary = "the nearest `stride` keys and every `stride`-th key",
    .family = "fixed pattern",
    .year = 2019,
    .cost = "4 P d flops forward, 10 P d backward, P = N (2 stride + N / stride), causal half; "
            "saves 8 N bytes a head",
    .source = "Child et al., Sparse Transformers, 2019, section 4.2",
    .options = {integer_option("stride", 64, 1, Index{1} << 30,
                               "width of the window and distance of the far keys")},
    .claims = {.causal = true,
               .log_sum_exp = true,
               .convex = true,
               .pattern = edges,
               .exact = {{.name = "stride >= length", .options = {{"stride", "1073741824"}}},
                         {.name = "stride = 1", .options = {{"stride", "1"}}}}},
    .make_head = make,
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
