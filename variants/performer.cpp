// performer: exp(<q, k> / sqrt d) estimated by inner products of random features (FAVOR+).
//
//   out_i = phi(q_i)^T S / <phi(q_i), z>,  S = sum_j phi(k_j) v_j^T,  z = sum_j phi(k_j);  causal:
//   over j <= i;  phi_r(x) = exp(<w_r, x^> - |x^|^2 / 2) + epsilon, x^ = x / d^(1/4), r = 1 .. m
//   kernel=hyperbolic: phi of W and of -W; relu: max(W x^, 0) + 1e-3; plain_relu: max(x, 0) + 1e-3
//   backward: engine/feature_attention.hpp; of phi, engine/random_features.hpp
//
// W [m, d] is a buffer of each head: rows of N(0, I), orthogonal in blocks of d unless
// orthogonal=false, drawn anew every `redraw` training steps. `features` is m; 0 means d ln d.
// hyperbolic has f = 2 m features, plain_relu f = d and no W, others f = m.
//
// Cost: 2 (N + M) (f (d + 1) + m d) flops forward, twice that backward; saves 4 (f (d + 1) + 2 N)
// bytes a head. Causal, triangles of chunks of 64 are added, and phi is taken twice in backward.
// Source: Choromanski et al., "Rethinking Attention with Performers", 2020, sections 2.2 to 2.4.
// Different here: epsilon is relative to each key's largest feature (there: to that of all keys),
// and rows of W are those of Gram and Schmidt (there: of QR, whose fixed signs bias the estimate).
// Long Range Arena's own code ran plain_relu, on ListOps 2 features drawn at every call; later
// suites on it 256 features, never redrawn.

#include <cmath>
#include <numbers>

#include "variants/engine/random_features.hpp"
#include "variants/engine/reference_softmax.hpp"

namespace arena {
namespace {

RandomKernel kernel_of(const Options& options) {
  const std::string& text = options.text("kernel");
  return text == "softmax"      ? RandomKernel::kSoftmax
         : text == "hyperbolic" ? RandomKernel::kHyperbolic
         : text == "relu"       ? RandomKernel::kRelu
                                : RandomKernel::kPlainRelu;
}

/// Rows of W.
Index rows_of(const Options& options, Index head_dim) {
  if (kernel_of(options) == RandomKernel::kPlainRelu) return 0;
  const auto d = static_cast<double>(head_dim);
  const Index chosen = options.integer("features");
  return chosen > 0 ? chosen : std::max(Index{1}, static_cast<Index>(std::lround(d * std::log(d))));
}

class Performer final : public AttentionHead {
 public:
  Performer(const Setup& setup, const Options& options)
      : kernel_(kernel_of(options)),
        rows_(rows_of(options, setup.head_dim)),
        head_dim_(setup.head_dim),
        causal_(setup.causal),
        redraw_(options.integer("redraw")) {
    if (rows_ == 0) return;
    buffers_ = {{.name = "W",
                 .rows = rows_,
                 .cols = head_dim_,
                 .init = options.on("orthogonal") ? Init::orthogonal_normal() : Init::normal(1),
                 .sharing = Sharing::kHead}};
  }

  std::span<const ParameterSpec> buffers() const override { return buffers_; }

  void update(Slices buffers, ConstSlices, RandomKey key, Index step) const override {
    if (rows_ == 0 || redraw_ == 0 || (step + 1) % redraw_ != 0) return;
    initialise(buffers_[0].init, key.fold(static_cast<std::uint64_t>(step)), buffers[0]);
  }

  Footprint footprint(const Extents& extents, const Call&) const override {
    const FeatureWork work = RandomFeatures::work(kernel_, rows_, head_dim_);
    const FeatureShape shape{extents, head_dim_, work.num_features, causal_, work.scaled};
    const Index map = RandomFeatures::scratch_bytes(rows_, head_dim_);
    return {.frame = feature_frame_bytes(shape), .scratch = map + feature_scratch_bytes(shape)};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras& extras) const override {
    const WorkspaceScope scope(call.team.workspace());
    const RandomFeatures map = map_of(weights, call.team.workspace());
    feature_forward(call, {map, map, 0, causal_}, in, outputs.out, frame, extras.state);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices) const override {
    const WorkspaceScope scope(call.team.workspace());
    const RandomFeatures map = map_of(weights, call.team.workspace());
    feature_backward(call.team, {map, map, 0, causal_}, in, d_outputs, frame, d_in);
  }

  RandomFeatures map_of(const Weights& weights, Workspace& workspace) const {
    const ConstView none(nullptr, 0, head_dim_);
    return {kernel_, rows_ > 0 ? weights.buffers[0] : none, workspace};
  }

 private:
  RandomKernel kernel_;
  Index rows_;
  Index head_dim_;
  bool causal_;
  Index redraw_;
  std::vector<ParameterSpec> buffers_;
};

MatrixD shrunk(const ConstView& x) {
  return x.cast<double>() / std::sqrt(std::sqrt(static_cast<double>(x.cols())));
}

/// phi of rows in double, exponentials over exp(logs).
struct ReferenceFeatures {
  MatrixD phi, logs;

  ReferenceFeatures(RandomKernel kernel, const ConstView& x, const Weights& weights)
      : logs(MatrixD::Zero(x.rows(), 1)) {
    const bool plain = kernel == RandomKernel::kPlainRelu;
    const MatrixD small = shrunk(x);
    phi = x.cast<double>();
    if (!plain) phi = small * weights.buffers[0].cast<double>().transpose();
    if (plain || kernel == RandomKernel::kRelu) {
      phi = phi.cwiseMax(0).array() + static_cast<double>(kReluFloor);
      return;
    }
    if (kernel == RandomKernel::kHyperbolic) {
      phi.conservativeResize(Eigen::NoChange, 2 * phi.cols());
      phi.rightCols(phi.cols() / 2) = -phi.leftCols(phi.cols() / 2);
    }
    const MatrixD largest = phi.rowwise().maxCoeff();
    logs = largest - small.rowwise().squaredNorm() / 2;
    phi = (phi.colwise() - largest.col(0)).array().exp() + static_cast<double>(kFeatureEpsilon);
  }
};

/// The explicit weights <phi(q_i), phi(k_j)> over their sum, in double.
MatrixD reference(const Problem& p, const Call&, const HeadInputs& in, const Weights& weights) {
  const RandomKernel kernel = kernel_of(p.options);
  const ReferenceFeatures query(kernel, in.query, weights), key(kernel, in.key, weights);
  MatrixD scores = (query.phi * key.phi.transpose()).array().log();
  scores.rowwise() += key.logs.col(0).transpose();
  if (p.setup.causal) hide_later(scores);
  return reference_softmax(std::move(scores)) * in.value.cast<double>();
}

/// What out is a ratio of, by the kernel's own code.
MatrixD estimate(const Problem& p, const Call& call, const HeadInputs& in, const Weights& weights) {
  const WorkspaceScope scope(call.team.workspace());
  const Performer performer(p.setup, p.options);
  return feature_products(performer.map_of(weights, call.team.workspace()), in.query, in.key);
}

MatrixD softmax_kernel(const Problem&, const Call&, const HeadInputs& in, const Weights&) {
  return (shrunk(in.query) * shrunk(in.key).transpose()).array().exp();
}

/// E max(<w, a>, 0) max(<w, b>, 0) = |a| |b| (sin t + (pi - t) cos t) / 2 pi at an angle t (Cho and
/// Saul, 2009); E max(<w, a>, 0) = |a| / sqrt(2 pi).
MatrixD relu_kernel(const Problem&, const Call&, const HeadInputs& in, const Weights&) {
  constexpr double kPi = std::numbers::pi, kFloor = static_cast<double>(kReluFloor);
  const MatrixD query = shrunk(in.query), key = shrunk(in.key);
  MatrixD products = query * key.transpose();
  for (Index i = 0; i < query.rows(); ++i) {
    for (Index j = 0; j < key.rows(); ++j) {
      const double a = query.row(i).norm(), b = key.row(j).norm();
      const double t = std::acos(products(i, j) / (a * b));
      products(i, j) = a * b * (std::sin(t) + (kPi - t) * std::cos(t)) / (2 * kPi) +
                       kFloor * (a + b) / std::sqrt(2 * kPi) + kFloor * kFloor;
    }
  }
  return products;
}

Estimator estimator(const char* name, const char* kernel, const char* orthogonal,
                    const Reference& expectation) {
  return {name,
          {{"features", "16"}, {"kernel", kernel}, {"orthogonal", orthogonal}},
          expectation,
          estimate};
}

FeatureWork work_of(const Problem& p) {
  const Index width = p.setup.head_dim;
  return RandomFeatures::work(kernel_of(p.options), rows_of(p.options, width), width);
}

double analytic_bytes(const Problem& p) {
  const Index callers = p.setup.num_heads >= p.workers ? p.workers : 1;
  const Index rows = rows_of(p.options, p.setup.head_dim);
  return feature_bytes(p, work_of(p)) +
         static_cast<double>(callers * RandomFeatures::scratch_bytes(rows, p.setup.head_dim));
}

const Register<Variant> kPerformer{{
    .name = "performer",
    .summary = "exp(<q, k>) estimated by random features: sums over keys are taken once",
    .family = "kernel",
    .year = 2020,
    .cost = "2 (N + M) (f (d + 1) + m d) flops forward, twice that backward; "
            "saves 4 (f (d + 1) + 2 N) bytes a head; f = m features",
    .source = "Choromanski et al., Rethinking Attention with Performers, 2020, sections 2.2 to 2.4",
    .published_row = "Performer",
    .options = {integer_option("features", 256, 0, 8192, "rows of W (0: d ln d)"),
                choice_option("kernel", "softmax", {"softmax", "hyperbolic", "relu", "plain_relu"},
                              "what the features are"),
                switch_option("orthogonal", true, "rows of W are orthogonal in blocks of d"),
                integer_option("redraw", 1000, 0, 1'000'000'000,
                               "training steps between draws of W (0: one for all)")},
    .claims = {.causal = true,
               .cross = true,
               .convex = true,
               .equivariant = true,
               .streams = true,
               .estimators = {estimator("exp(<q, k> / sqrt d)", "softmax", "true", softmax_kernel),
                              estimator("exp(<q, k> / sqrt d) by independent rows", "softmax",
                                        "false", softmax_kernel),
                              estimator("exp(<q, k> / sqrt d) by hyperbolic features", "hyperbolic",
                                        "true", softmax_kernel),
                              estimator("the mean of max(<w, q>, 0) max(<w, k>, 0)", "relu", "true",
                                        relu_kernel)},
               .reference = reference},
    .make_head = [](const Setup& setup,
                    const Options& options) { return std::make_unique<Performer>(setup, options); },
    .flops = [](const Problem& p) { return feature_flops(p, work_of(p)); },
    .analytic_bytes = analytic_bytes,
    .arithmetic =
        [](const Options& options) {
          const RandomKernel kernel = kernel_of(options);
          return Arithmetic{.kinks = kernel == RandomKernel::kRelu ||
                                     kernel == RandomKernel::kPlainRelu};
        },
}};

}  // namespace
}  // namespace arena
