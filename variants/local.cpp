// local: each query sees the keys at most `window` steps of `dilation` positions away.
//
//   out_i = sum over j of softmax_j(scale <query_i, key_j>) value_j,
//   j = i + dilation s, |s| <= window;  causal: -window <= s <= 0
//
// Cost: 4 P d flops forward, 10 P d backward for P pairs seen, about N (2 window + 1), causal
// N (window + 1); saves 8 N bytes a head. Positions of one residue class modulo `dilation` are a
// sequence of their own, with a plain window; short ones are taken together. Source: Parmar et al.
// 2018; Beltagy, Peters, Cohan, "Longformer", 2020, section 3.1. `window` counts one side, as in
// Longformer's code; most papers count both. Self attention only: query and key lengths must agree.

#include "variants/engine/pattern.hpp"

namespace arena {
namespace {

class LocalPattern final : public Pattern {
 public:
  LocalPattern(const Setup& setup, const Options& options)
      : before_(options.integer("window")),
        after_(setup.causal ? 0 : before_),
        dilation_(options.integer("dilation")) {}

  Index parts(Index, Index length) const override { return classes(length).count(); }
  PatternPart part(Index, Index p, Index length) const override {
    const auto [rows, number, each] = classes(length)[p];
    // which masks of several classes would do 3 % slower
    if (number == 1) return {{rows, rows}, BandMask({each, each}, before_, after_)};
    return {{rows, rows}, StackedBandMask(number, each, before_, after_)};
  }

 private:
  ResidueGroups classes(Index length) const { return {length, dilation_, 1}; }

  Index before_, after_, dilation_;
};

std::unique_ptr<AttentionHead> make(const Setup& setup, const Options& options) {
  return make_pattern_head("local", setup, std::make_unique<LocalPattern>(setup, options));
}

double flops(const Problem& p) {
  return pattern_flops(p, LocalPattern(p.setup, p.options));
}

double analytic_bytes(const Problem& p) {
  return pattern_bytes(p, LocalPattern(p.setup, p.options));
}

Edges edges(const Problem& p, const Call&) {
  const Index window = p.options.integer("window"), dilation = p.options.integer("dilation");
  return edges_where(p.extents.query_len, p.extents.key_len, [&](Index i, Index j) {
    if (p.setup.causal && j > i) return false;
    return (i - j) % dilation == 0 && std::abs(i - j) / dilation <= window;
  });
}

const Register<Variant> kLocal{{
    .name = "local",
    .summary = "sliding window: keys at most `window` positions away",
    .family = "fixed pattern",
    .year = 2018,
    .cost = "4 P d flops forward, 10 P d backward, P = N (2 window + 1); saves 8 N bytes a head",
    .source = "Beltagy et al., Longformer, 2020, section 3.1",
    .options = {integer_option("window", 16, 0, Index{1} << 30,
                               "keys seen on each side (causal: before) of a query"),
                integer_option("dilation", 1, 1, Index{1} << 30, "distance of neighbouring keys")},
    .claims = {.causal = true,
               .log_sum_exp = true,
               .convex = true,
               .pattern = edges,
               .exact = {{.name = "window >= length",
                          .options = {{"window", "1073741824"}, {"dilation", "1"}}}}},
    .make_head = make,
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
