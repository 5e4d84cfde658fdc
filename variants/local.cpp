// local: each query sees the keys at most `window` positions away, itself among them.
//
//   out_i = sum over |i - j| <= window of softmax_j(scale <query_i, key_j>) value_j
//   causal: 0 <= i - j <= window
//
// Cost: 4 P d flops forward, 10 P d backward for P pairs seen, about N (2 window + 1), causal
// N (window + 1); saves 8 N bytes a head. Source: Parmar et al. 2018; Beltagy, Peters, Cohan,
// "Longformer", 2020, section 3.1. `window` counts one side, as in Longformer's code; most papers
// count both. Self attention only: query and key lengths must agree.

#include <cmath>

#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

BandMask mask_of(const Extents& extents, Index window, bool causal) {
  return {extents, window, causal ? 0 : window};
}

class Local final : public AttentionHead {
 public:
  Local(const Setup& setup, const Options& options)
      : causal_(setup.causal),
        window_(options.integer("window")),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {}

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const Index workers = call.team.size();
    const Index reach = softmax_chunk_reach(mask_of(extents, window_, causal_), extents);
    const Index forward = softmax_forward_scratch(extents, head_dim_, workers).caller;
    const Index backward = softmax_backward_scratch(extents, head_dim_, reach, workers).caller;
    return {.frame = softmax_statistics_bytes(extents.query_len),
            .scratch = std::max(forward, backward)};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Extents extents = extents_of(in);
    const View statistics = frame ? frame->matrix(2, extents.query_len) : View();
    softmax_forward(call.team, in, scale_, mask_of(extents, window_, causal_), outputs, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const Extents extents = extents_of(in);
    softmax_backward(call.team, in, scale_, mask_of(extents, window_, causal_), d_outputs,
                     FrameReader(frame).matrix(2, extents.query_len), d_in);
  }

 private:
  static Extents extents_of(const HeadInputs& in) {
    if (in.query.rows() != in.key.rows()) {
      throw Error(fmt::format("local needs as many keys as queries, not {} keys and {} queries",
                              in.key.rows(), in.query.rows()),
                  Failure::kUnsupported);
    }
    return {in.query.rows(), in.key.rows()};
  }

  bool causal_;
  Index window_;
  Index head_dim_;
  float scale_;
};

BandMask mask_of(const Problem& p) {
  return mask_of(p.extents, p.options.integer("window"), p.setup.causal);
}

double flops(const Problem& p) {
  const double products = p.pass == Pass::kForward ? 4 : p.pass == Pass::kBackward ? 10 : 14;
  const auto pairs = static_cast<double>(mask_of(p).covered());
  return products * pairs * static_cast<double>(p.setup.head_dim * p.setup.num_heads);
}

double analytic_bytes(const Problem& p) {
  const Index frame = softmax_statistics_bytes(p.extents.query_len) * p.setup.num_heads;
  const double frames = p.pass == Pass::kForward ? 0.0 : static_cast<double>(frame);
  return frames + softmax_scratch_bytes(p, p.extents, softmax_chunk_reach(mask_of(p), p.extents));
}

Edges edges(const Problem& p, const Call&) {
  const BandMask mask = mask_of(p);
  return edges_where(p.extents.query_len, p.extents.key_len,
                     [&](Index i, Index j) { return mask.sees(i, j); });
}

const Register<Variant> kLocal{{
    .name = "local",
    .summary = "sliding window: keys at most `window` positions away",
    .family = "fixed pattern",
    .year = 2018,
    .cost = "4 P d flops forward, 10 P d backward, P = N (2 window + 1); saves 8 N bytes a head",
    .source = "Beltagy et al., Longformer, 2020, section 3.1",
    .options = {integer_option("window", 16, 0, Index{1} << 30,
                               "keys seen on each side (causal: before) of a query")},
    .claims = {.causal = true,
               .log_sum_exp = true,
               .convex = true,
               .pattern = edges,
               .exact = {{.name = "window >= length", .options = {{"window", "1073741824"}}}}},
    .make_head = [](const Setup& setup,
                    const Options& options) { return std::make_unique<Local>(setup, options); },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
