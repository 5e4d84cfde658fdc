// linear: attention whose weights are <phi(q), phi(k)>, phi(x) = elu(x) + 1, in time linear in N.
//
//   phi(x) = x + 1 for x > 0, e^x else;  out_i = phi(q_i)^T S / (<phi(q_i), z> + 1e-6)
//   S = sum_j phi(k_j) v_j^T,  z = sum_j phi(k_j);  causal: over j <= i
//   backward: phi'(x) = min(phi(x), 1); all else in engine/feature_attention.hpp
//
// Cost: 2 (N + M) d (d + 1) flops forward, twice that backward; saves 4 (d^2 + d + N) bytes a head.
// Causal (N = M): 4 N d (d + 1 + 33) and 10 N d (d + 1) + 12 N d 33, by the triangles of chunks of
// 64; then the sums before each piece of 256 or more rows are saved. There is no scale 1 / sqrt(d).
// Source: Katharopoulos, Vyas, Pappas, Fleuret, "Transformers are RNNs", 2020, section 3.2; the
// 1e-6 is of their code.

#include <cmath>

#include "harness/layers/simd.hpp"
#include "variants/engine/feature_attention.hpp"

namespace arena {
namespace {

using simd::Vec;

constexpr float kEpsilon = 1e-6F;

/// to[d] = map(sources[d]...), by whole vectors of which nothing beyond `count` is read or written.
template <class Map, class... Sources>
void map_row(Index count, float* to, const Map& map, const Sources*... sources) {
  Index d = 0;
  for (; d + simd::kWidth <= count; d += simd::kWidth) {
    simd::store(to + d, map(simd::load(sources + d)...));
  }
  const Index rest = count - d;
  if (rest == 0) return;
  const auto padded = [&](const float* from) {
    float lanes[simd::kWidth] = {};
    std::copy_n(from + d, rest, lanes);
    return simd::load(lanes);
  };
  float lanes[simd::kWidth];
  simd::store(lanes, map(padded(sources)...));
  std::copy_n(lanes, rest, to + d);
}

class EluPlusOne final : public FeatureMap {
 public:
  explicit EluPlusOne(Index head_dim) : head_dim_(head_dim) {}
  Index num_features() const override { return head_dim_; }

  void evaluate(const ConstView& x, View features) const override {
    const auto phi = [](Vec v) {
      const Vec zero(0.0F), log2_e(1.4426950408889634F);
      const Vec exponential = simd::exp2(log2_e * simd::select(v > zero, zero, v));
      return simd::select(v > zero, v + Vec(1.0F), exponential);
    };
    for (Index i = 0; i < x.rows(); ++i) {
      map_row(head_dim_, features.data() + i * features.outerStride(), phi,
              x.data() + i * x.outerStride());
    }
  }

  void differentiate(const ConstView& x, const ConstView& features, const ConstView& d_features,
                     View d_x) const override {
    const auto product = [](Vec d_phi, Vec phi) {
      return d_phi * simd::select(phi > Vec(1.0F), Vec(1.0F), phi);
    };
    for (Index i = 0; i < x.rows(); ++i) {
      map_row(head_dim_, d_x.data() + i * d_x.outerStride(), product,
              d_features.data() + i * d_features.outerStride(),
              features.data() + i * features.outerStride());
    }
  }

 private:
  Index head_dim_;
};

class Linear final : public AttentionHead {
 public:
  explicit Linear(const Setup& setup) : causal_(setup.causal), map_(setup.head_dim) {}

  Footprint footprint(const Extents& extents, const Call&) const override {
    const FeatureShape shape{extents, map_.num_features(), map_.num_features(), causal_};
    return {.frame = feature_frame_bytes(shape), .scratch = feature_scratch_bytes(shape)};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    feature_forward(call.team, {map_, map_, kEpsilon, causal_}, in, outputs.out, frame);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights&,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    feature_backward(call.team, {map_, map_, kEpsilon, causal_}, in, d_outputs, frame, d_in);
  }

 private:
  bool causal_;
  EluPlusOne map_;
};

/// The explicit weights <phi(q_i), phi(k_j)> / (their sum + epsilon), in double.
MatrixD reference(const Problem& p, const Call&, const HeadInputs& in, const Weights&) {
  const auto phi = [](float x) { return x > 0 ? 1 + static_cast<double>(x) : std::exp(x * 1.0); };
  const MatrixD query = in.query.unaryExpr(phi), key = in.key.unaryExpr(phi);
  MatrixD weights = query * key.transpose();
  for (Index i = 0; i < weights.rows(); ++i) {
    if (p.setup.causal) {
      const Index seen = std::max(Index{0}, causal_limit(i, p.extents) + 1);
      weights.row(i).tail(weights.cols() - seen).setZero();
    }
    weights.row(i) /= weights.row(i).sum() + static_cast<double>(kEpsilon);
  }
  return weights * in.value.cast<double>();
}

const Register<Variant> kLinear{{
    .name = "linear",
    .summary = "weights <phi(q), phi(k)> with phi = elu + 1: sums over keys are taken once",
    .family = "kernel",
    .year = 2020,
    .cost = "2 (N + M) d (d + 1) flops forward, twice that backward; "
            "saves 4 (d^2 + d + N) bytes a head",
    .source = "Katharopoulos et al., Transformers are RNNs, 2020, section 3.2",
    .published_row = "Linear Trans.",
    .claims = {.causal = true,
               .cross = true,
               .convex = true,
               .equivariant = true,
               .reference = reference},
    .make_head = [](const Setup& setup, const Options&) { return std::make_unique<Linear>(setup); },
    .flops = [](const Problem& p) { return feature_flops(p, p.setup.head_dim); },
    .analytic_bytes = [](const Problem& p) { return feature_bytes(p, p.setup.head_dim); },
}};

}  // namespace
}  // namespace arena
