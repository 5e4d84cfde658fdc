// nystromformer: attention through landmarks that reconstruct the whole score matrix (Nyström).
//
//   q~, k~ [m, d] = means of m segments of query and key;  all softmaxes scaled by 1 / sqrt(d)
//   F = softmax(q k~^T) [N, m],  A = softmax(q~ k~^T) [m, m],  G = softmax(q~ k^T) [m, N]
//   out = F A+ (G v) + conv(v),  A+ by T steps of an iteration (engine/pseudo_inverse.hpp)
//
// F and G are tiled softmaxes and never stored; A and A+ are m x m in double. Backward goes through
// all steps of A+, which it makes again. conv is a convolution along the sequence, one kernel for
// all columns of a head.
//
// Cost: 8 N m d + 8 T m^3 flops forward, 20 N m d + 30 T m^3 backward; saves 4 (3 m d + 2 N + 2 m)
// bytes a head. Mixes positions before scoring, so it cannot be causal.
// Source: Xiong et al., "Nyströmformer", AAAI 2021, sections 3.2 and 3.3. Different from its code:
// A+ starts from this head's largest column sum, not from the largest of a batch; where m does not
// divide N, the last segments are one row longer; m = N for shorter sequences, by the same formula.

#include <cmath>

#include "variants/engine/head_costs.hpp"
#include "variants/engine/landmark_kernel.hpp"
#include "variants/engine/reference_softmax.hpp"
#include "variants/engine/segment_mean.hpp"
#include "variants/engine/sequence_convolution.hpp"
#include "variants/engine/softmax_parts.hpp"
#include "variants/engine/split_softmax.hpp"

namespace arena {
namespace {

using Keep = PseudoInverse::Keep;

/// Everything that sizes depend on.
struct Sizes {
  Index len, head_dim, landmarks, conv, iterations;

  Sizes(Index seq_len, Index width, const Options& options)
      : len(seq_len),
        head_dim(width),
        landmarks(std::min(options.integer("landmarks"), seq_len)),
        conv(options.integer("conv")),
        iterations(options.integer("iterations")) {}

  Extents wide() const { return {landmarks, len}; }  // G
  Extents tall() const { return {len, landmarks}; }  // F
  Index matrix_bytes() const { return stored_bytes<float>(landmarks * head_dim); }
  Index frame() const {
    return 3 * matrix_bytes() + softmax_statistics_bytes(landmarks) + softmax_statistics_bytes(len);
  }
  LandmarkKernel::Shape kernel(Keep keep) const { return {landmarks, head_dim, iterations, keep}; }

  /// Scratch on the workers. What runs one after another uses the same.
  SoftmaxScratch forward(Index workers, bool saves) const {
    const Index kernel_bytes = LandmarkKernel::bytes(kernel(Keep::kLast));
    return largest((saves ? 1 : 4) * matrix_bytes(), workers,
                   {few_queries_forward_scratch(wide(), head_dim, workers),
                    {kernel_bytes, kernel_bytes},
                    softmax_forward_scratch(tall(), head_dim, workers)});
  }
  SoftmaxScratch backward(Index workers) const {
    const Index inner = 5 * matrix_bytes() + stored_bytes<float>(conv > 0 ? len : 0) +
                        LandmarkKernel::bytes(kernel(Keep::kAll));
    return largest(inner, workers,
                   {few_keys_backward_scratch(tall(), head_dim, workers),
                    softmax_backward_scratch(wide(), head_dim, landmarks, workers)});
  }

 private:
  SoftmaxScratch largest(Index own, Index workers,
                         std::initializer_list<SoftmaxScratch> parts) const {
    const ConvolutionScratch convolution = convolution_scratch(len, conv, workers);
    SoftmaxScratch most{convolution.caller, convolution.total};
    for (const SoftmaxScratch& part : parts) most = larger(most, part);
    return added(own, most);
  }
};

class Nystromformer final : public AttentionHead {
 public:
  Nystromformer(const Setup& setup, const Options& options)
      : options_(options),
        head_dim_(setup.head_dim),
        scale_(1 / std::sqrt(static_cast<float>(setup.head_dim))) {
    const Index conv = options.integer("conv");
    if (conv == 0) return;
    const float bound = 1 / std::sqrt(static_cast<float>(conv));
    specs_ = {{"conv", 1, conv, Init::uniform(bound), Sharing::kHead}};
  }

  std::span<const ParameterSpec> parameters() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return footprint_of(Sizes(extents.query_len, head_dim_, options_), call.team.size());
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const Sizes sizes(in.query.rows(), head_dim_, options_);
    const Team& team = call.team;
    const WorkspaceScope scope(team.workspace());
    const auto take = [&](Index rows, Index cols) {
      return frame ? frame->matrix(rows, cols) : team.workspace().matrix(rows, cols);
    };
    const Index m = sizes.landmarks;
    const View query = take(m, head_dim_), key = take(m, head_dim_), pooled = take(m, head_dim_);
    const View wide = frame ? frame->matrix(2, m) : View();
    const View tall = frame ? frame->matrix(2, sizes.len) : View();
    segment_means(team, in.query, {sizes.len, m}, query);
    segment_means(team, in.key, {sizes.len, m}, key);
    softmax_forward_few_queries(team, {query, in.key, in.value}, scale_, pooled, wide);
    const View mixed = team.workspace().matrix(m, head_dim_);
    {
      const WorkspaceScope kernel_scope(team.workspace());
      LandmarkKernel(team, sizes.kernel(Keep::kLast)).run(query, key, pooled, scale_, mixed);
    }
    softmax_forward(team, {in.query, key, mixed}, scale_, BandMask::full(sizes.tall()), outputs,
                    tall);
    if (sizes.conv > 0) add_convolution(team, in.value, weights.parameters[0], outputs.out);
  }

  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    const Sizes sizes(in.query.rows(), head_dim_, options_);
    const Team& team = call.team;
    Workspace& workspace = team.workspace();
    const WorkspaceScope scope(workspace);
    FrameReader saved(frame);
    const Index m = sizes.landmarks;
    const auto read = [&] { return saved.matrix(m, head_dim_); };
    const ConstView query = read(), key = read(), pooled = read();
    const ConstView wide = saved.matrix(2, m), tall = saved.matrix(2, sizes.len);
    const auto take = [&] { return workspace.matrix(m, head_dim_); };
    View mixed = take(), d_mixed = take(), d_pooled = take(), d_query = take(), d_key = take();
    // backward of F wants the part of out that it made: <d_out, conv(v)> is taken off as if it
    // were the derivative by log_sum_exp
    const View conv_dots = sizes.conv > 0 ? workspace.matrix(sizes.len, 1) : View();
    if (sizes.conv > 0) {
      add_convolution_kernel_gradient(team, in.value, d_outputs.out, weights.parameters[0],
                                      grads[0], conv_dots);
    }
    LandmarkKernel kernel(team, sizes.kernel(Keep::kAll));
    kernel.run(query, key, pooled, scale_, mixed);
    softmax_backward_few_keys(
        team, {in.query, key, mixed}, scale_,
        {.out = d_outputs.out, .log_sum_exp = conv_dots, .forward_out = d_outputs.forward_out},
        tall, {d_in.query, d_key, d_mixed});
    d_query.setZero();
    kernel.backward(query, key, d_mixed, d_pooled, d_query, d_key);
    add_segment_means_gradient(team, d_query, {sizes.len, m}, d_in.query);
    softmax_backward(team, {query, in.key, in.value}, scale_, BandMask::full(sizes.wide()),
                     {.out = d_pooled, .forward_out = pooled}, wide,
                     {d_query, d_in.key, d_in.value});
    add_segment_means_gradient(team, d_query, {sizes.len, m}, d_in.query);
    add_segment_means_gradient(team, d_key, {sizes.len, m}, d_in.key);
    if (sizes.conv == 0) return;
    add_convolution_input_gradient(team, d_outputs.out, weights.parameters[0], d_in.value);
  }

 private:
  Options options_;
  Index head_dim_;
  float scale_;
  std::vector<ParameterSpec> specs_;
};

/// The formula as it stands, with a matrix of means over segments and explicit convolution.
MatrixD reference(const Problem& p, const Call&, const HeadInputs& in, const Weights& weights) {
  const MatrixD q = in.query.cast<double>(), k = in.key.cast<double>(), v = in.value.cast<double>();
  const Index n = q.rows(), m = std::min(n, p.options.integer("landmarks"));
  MatrixD mean = MatrixD::Zero(m, n);
  for (Index s = 0, i = 0; s < m; ++s) {
    const Index size = n / m + (s >= m - n % m ? 1 : 0);
    for (const Index end = i + size; i < end; ++i) mean(s, i) = 1 / static_cast<double>(size);
  }
  const MatrixD f = reference_softmax(reference_scores(q, mean * k));
  const MatrixD a = reference_softmax(reference_scores(mean * q, mean * k));
  const MatrixD g = reference_softmax(reference_scores(mean * q, k));
  const MatrixD one = MatrixD::Identity(m, m);
  MatrixD z = a.transpose() / a.colwise().sum().maxCoeff();
  for (Index step = 0; step < p.options.integer("iterations"); ++step) {
    const MatrixD az = a * z;
    z = 0.25 * z * (13 * one - az * (15 * one - az * (7 * one - az)));
  }
  MatrixD out = f * (z * (g * v));
  const Index size = p.options.integer("conv");
  for (Index i = 0; i < n; ++i) {
    for (Index c = 0; c < size; ++c) {
      const Index j = i + c - (size - 1) / 2;
      if (j < 0 || j >= n) continue;
      out.row(i) += static_cast<double>(weights.parameters[0](0, c)) * v.row(j);
    }
  }
  return out;
}

/// Scores that single out each token make A well conditioned, so that A+ converges in float too.
void make_keys_the_queries(HeadProblem& problem) {
  problem.inputs.query = problem.inputs.key;
}

void make_constant_within_segments(HeadProblem& problem) {
  const Segments segments{problem.extents.key_len, 12};
  for (Index s = 0; s < segments.count; ++s) {
    const Index begin = segments.begin(s), size = segments.size(s);
    problem.inputs.key.middleRows(begin, size) =
        problem.inputs.key.row(begin).replicate(size, 1).eval();
  }
  problem.inputs.query = problem.inputs.key;
}

Sizes sizes_of(const Problem& p) {
  return {p.extents.key_len, p.setup.head_dim, p.options};
}

double flops(const Problem& p) {
  const Sizes sizes = sizes_of(p);
  const double softmax =
      4 * static_cast<double>(sizes.len * sizes.landmarks) * static_cast<double>(sizes.head_dim);
  const double conv = convolution_flops(sizes.len, sizes.conv, sizes.head_dim);
  const double forward =
      2 * softmax + LandmarkKernel::flops_forward(sizes.kernel(Keep::kLast)) + conv;
  const double backward =
      5 * softmax + LandmarkKernel::flops_backward(sizes.kernel(Keep::kAll)) + 2 * conv;
  return flops_of_heads(p, forward, backward);
}

double analytic_bytes(const Problem& p) {
  return bytes_of_heads(p, sizes_of(p));
}

const Register<Variant> kNystromformer{{
    .name = "nystromformer",
    .summary = "scores reconstructed from `landmarks` mean queries and keys, plus a convolution",
    .family = "memory + downsampling",
    .year = 2021,
    .cost = "8 N m d + 8 T m^3 flops forward, 20 N m d + 30 T m^3 backward, T steps; "
            "saves 4 (3 m d + 2 N + 2 m) bytes a head",
    .source = "Xiong et al., Nyströmformer: A Nyström-Based Algorithm for Approximating "
              "Self-Attention, AAAI 2021, sections 3.2 and 3.3",
    .options = {integer_option("landmarks", 64, 1, 4096, "mean queries and keys, m"),
                integer_option("conv", 35, 0, 1023, "weights of the convolution of v; 0: none"),
                integer_option("iterations", 6, 1, 64, "steps of the pseudo-inverse, T")},
    .claims = {.exact = {{.name = "landmarks = length, the inverse converged",
                          .options = {{"landmarks", "24"}, {"conv", "0"}, {"iterations", "24"}},
                          .extents = {24, 24},
                          .edit = make_keys_the_queries},
                         {.name = "query and key constant within segments",
                          .options = {{"landmarks", "12"}, {"conv", "0"}, {"iterations", "24"}},
                          .extents = {50, 50},
                          .edit = make_constant_within_segments}},
               .reference = reference},
    .make_head =
        [](const Setup& setup, const Options& options) {
          return std::make_unique<Nystromformer>(setup, options);
        },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
