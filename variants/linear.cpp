// linear: attention whose weights are <phi(q), phi(k)>, phi(x) = elu(x) + 1, in time linear in N.
//
//   phi(x) = x + 1 for x > 0, e^x else;  out_i = phi(q_i)^T S / (<phi(q_i), z> + 1e-6)
//   S = sum_j phi(k_j) v_j^T,  z = sum_j phi(k_j);  causal: over j <= i
//   backward: phi'(x) = min(phi(x), 1); all else in engine/feature_attention.hpp
//
// Cost: 2 (N + M) d (d + 1) flops forward, twice that backward; saves 4 (d^2 + d + N) bytes a head.
// Causal (N = M): 4 N d (d + 1 + 33) and 10 N d (d + 1) + 12 N d 33, by the triangles of chunks of
// 64; then the sums before each piece of 256 or more rows are saved. There is no scale 1 / sqrt(d).
// State: S and z, (d + 1) d floats a head, whatever the length.
// Source: Katharopoulos, Vyas, Pappas, Fleuret, "Transformers are RNNs", 2020, section 3.2; the
// 1e-6 is of their code.

#include <cmath>

#include "harness/layers/simd.hpp"
#include "variants/engine/feature_attention.hpp"

namespace arena {
namespace {

using simd::Vec;

constexpr float kEpsilon = 1e-6F;

class EluPlusOne final : public FeatureMap {
 public:
  explicit EluPlusOne(Index head_dim) : head_dim_(head_dim) {}
  Index num_features() const override { return head_dim_; }

  void evaluate(const ConstView& x, View features, float*) const override {
    const Vec zero(0.0F), log2_e(1.4426950408889634F);
    for (Index i = 0; i < x.rows(); ++i) {
      const float* const from = x.data() + i * x.outerStride();
      float* const to = features.data() + i * features.outerStride();
      simd::for_vectors(head_dim_, [&](Index d, Index lanes) {
        const Vec v = simd::load_part(from + d, lanes);
        const Vec exponential = simd::exp2(log2_e * simd::select(v > zero, zero, v));
        simd::store_part(to + d, simd::select(v > zero, v + Vec(1.0F), exponential), lanes);
      });
    }
  }

  void differentiate(const ConstView&, const ConstView& features, View d_features,
                     View d_x) const override {
    for (Index i = 0; i < d_x.rows(); ++i) {
      const float* const phi = features.data() + i * features.outerStride();
      const float* const d_phi = d_features.data() + i * d_features.outerStride();
      float* const to = d_x.data() + i * d_x.outerStride();
      simd::for_vectors(head_dim_, [&](Index d, Index lanes) {
        const Vec value = simd::load_part(phi + d, lanes);
        const Vec slope = simd::select(value > Vec(1.0F), Vec(1.0F), value);
        simd::store_part(to + d, simd::load_part(d_phi + d, lanes) * slope, lanes);
      });
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
               Frame* frame, const Extras& extras) const override {
    feature_forward(call, {map_, map_, kEpsilon, causal_}, in, outputs.out, frame, extras.state);
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
               .streams = true,
               .reference = reference},
    .make_head = [](const Setup& setup, const Options&) { return std::make_unique<Linear>(setup); },
    .flops = [](const Problem& p) { return feature_flops(p, {p.setup.head_dim}); },
    .analytic_bytes = [](const Problem& p) { return feature_bytes(p, {p.setup.head_dim}); },
}};

}  // namespace
}  // namespace arena
