// blocked: exact softmax attention in tiles that stay in cache; scores are never stored.
//
//   out = softmax(scale * query key^T) value, by online softmax over blocks of keys;
//   backward recomputes the scores from query, key and each row's maximum and sum.
//
// Cost: 4 N M d flops forward, 10 N M d backward (causal: the pairs seen, half of that when N = M);
// saves 8 N bytes a head. Option precision=bfloat16 rounds what the products multiply, sums in
// float (engine/bf16_softmax.hpp), and needs AVX512_BF16. Source: Milakov and Gimelshein 2018
// (online softmax); Dao, Fu, Ermon, Rudra, Ré, "FlashAttention", 2022, algorithms 1 and 4. Here
// queries stand in the vector lanes.

#include <cmath>

#include "variants/engine/bf16_kernel.hpp"
#include "variants/engine/bf16_softmax.hpp"
#include "variants/engine/head_costs.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

/// The same attention in float, or with products of bfloat16.
struct Engine {
  decltype(softmax_forward)* forward;
  decltype(softmax_backward)* backward;
  decltype(softmax_forward_scratch)* forward_scratch;
  decltype(softmax_backward_scratch)* backward_scratch;
};
constexpr Engine kFloat{softmax_forward, softmax_backward, softmax_forward_scratch,
                        softmax_backward_scratch};
constexpr Engine kBfloat16{bf16_softmax_forward, bf16_softmax_backward,
                           bf16_softmax_forward_scratch, bf16_softmax_backward_scratch};

bool in_bfloat16(const Options& options) {
  return options.text("precision") == "bfloat16";
}

const Engine& engine_of(const Options& options) {
  return in_bfloat16(options) ? kBfloat16 : kFloat;
}

Arithmetic arithmetic(const Options& options) {
  if (!in_bfloat16(options)) return {};
  return {.precision = "bfloat16", .rounding = bf16::kRounding, .missing = bf16::missing()};
}

BandMask mask_of(const Extents& extents, bool causal) {
  return causal ? BandMask::causal(extents) : BandMask::full(extents);
}

/// What one head takes, of either engine.
struct Sizes {
  const Engine& engine;
  Extents extents;
  Index head_dim;

  Index frame() const { return softmax_statistics_bytes(extents.query_len); }
  SoftmaxScratch forward(Index workers, bool) const {
    return engine.forward_scratch(extents, head_dim, workers);
  }
  SoftmaxScratch backward(Index workers) const {
    return engine.backward_scratch(extents, head_dim, extents.query_len, workers);
  }
};

class Blocked final : public AttentionHead {
 public:
  Blocked(const Setup& setup, const Engine& engine)
      : engine_(engine),
        causal_(setup.causal),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {}

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return footprint_of(Sizes{engine_, extents, head_dim_}, call.team.size());
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Extents extents{in.query.rows(), in.key.rows()};
    const View statistics = frame ? frame->matrix(2, extents.query_len) : View();
    engine_.forward(call.team, in, scale_, mask_of(extents, causal_), outputs, statistics);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const Extents extents{in.query.rows(), in.key.rows()};
    const ConstView statistics = FrameReader(frame).matrix(2, extents.query_len);
    engine_.backward(call.team, in, scale_, mask_of(extents, causal_), d_outputs, statistics, d_in);
  }

 private:
  const Engine& engine_;
  bool causal_;
  Index head_dim_;
  float scale_;
};

double flops(const Problem& p) {
  return softmax_flops(p, mask_of(p.extents, p.setup.causal).covered());
}

double analytic_bytes(const Problem& p) {
  return bytes_of_heads(p, Sizes{engine_of(p.options), p.extents, p.setup.head_dim});
}

std::unique_ptr<AttentionHead> make(const Setup& setup, const Options& options) {
  if (const std::string missing = arithmetic(options).missing; !missing.empty()) {
    throw Error(fmt::format("blocked: precision=bfloat16 needs a processor with {}", missing),
                Failure::kUnsupported);
  }
  return std::make_unique<Blocked>(setup, engine_of(options));
}

const Register<Variant> kBlocked{{
    .name = "blocked",
    .summary = "exact softmax attention in cache-sized tiles, scores never stored",
    .family = "exact",
    .year = 2022,
    .cost = "4 N M d flops forward, 10 N M d backward (causal: half); saves 8 N bytes a head",
    .source = "Dao et al., FlashAttention, 2022, algorithms 1 and 4",
    .published_row = "Transformer",
    .options = {choice_option("precision", "float32", {"float32", "bfloat16"},
                              "of the numbers that products multiply; sums are float32")},
    .claims = {.causal = true,
               .cross = true,
               .log_sum_exp = true,
               .convex = true,
               .equivariant = true,
               .exact = {{.name = "always"}}},
    .make_head = make,
    .flops = flops,
    .analytic_bytes = analytic_bytes,
    .arithmetic = arithmetic,
}};

}  // namespace
}  // namespace arena
