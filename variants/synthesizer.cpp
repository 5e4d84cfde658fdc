// synthesizer: softmax attention whose scores are learned, with or without the dot product.
//
//   out = softmax(S + scale * query key^T) value; dot=off: out = softmax(S) value
//   random             S = R [max_len, max_len]
//   factorized_random  S = R1 R2, R1 [max_len, rank], R2 [rank, max_len]
//   dense              S_i = relu(hidden_i) W2 + b2, W2 [d, max_len], hidden = x W1 + b1
//   factorized_dense   S_ij = A_i(j mod a) B_i(j / a), A_i = relu(hidden_i) Wa + ba [a] and B_i =
//                      relu(hidden_i) Wb + bb [b]; a = ceil(sqrt(max_len)), a b >= max_len
//   N tokens use the first N rows and columns. Backward: engine/explicit_softmax.hpp gives d_S.
//
// Cost: 2 N^2 (d + w) flops forward, 2 N^2 (2 d + 3 w) backward (causal: half), where w adds up d
// for the dot product and rank or d for scores that are products; saves 8 N bytes a head.
// Source: Tay, Bahri, Metzler, Juan, Zhao, Zheng, "Synthesizer", 2020, sections 3.1 and 3.2. Long
// Range Arena ran the default, random and the dot product. Both factors of factorized_dense share
// their hidden layer here.

#include <cmath>

#include "variants/engine/explicit_softmax.hpp"
#include "variants/engine/head_costs.hpp"
#include "variants/engine/reference_softmax.hpp"
#include "variants/engine/synthesizer_scores.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

/// Scratch of one head on the worker that runs it, and on each that helps.
ExplicitSoftmaxScratch scratch_of(const SynthesizerForm& form, const Extents& extents, Pass pass,
                                  Index workers) {
  const bool forward = pass == Pass::kForward;
  ExplicitSoftmaxScratch scratch =
      forward ? explicit_softmax_forward_scratch()
              : explicit_softmax_backward_scratch(extents, form.part_width(), workers);
  scratch.caller += SynthesizerScores::bytes(form, extents.query_len, !forward);
  return scratch;
}

class Synthesizer final : public AttentionHead {
 public:
  Synthesizer(const Setup& setup, const Options& options)
      : form_(setup, options), causal_(setup.causal), specs_(form_.specs()) {
    if (form_.dot > 0) inputs_ = {"query", "key"};
    inputs_.emplace_back("value");
    if (form_.hidden > 0) inputs_.emplace_back("hidden");
  }

  std::span<const std::string_view> inputs() const override { return inputs_; }
  std::span<const ParameterSpec> parameters() const override { return specs_; }

  Footprint footprint(const Extents& extents, const Call& call) const override {
    const auto scratch = [&](Pass pass) {
      return scratch_of(form_, extents, pass, call.team.size()).caller;
    };
    return {.frame = softmax_statistics_bytes(extents.query_len),
            .scratch = std::max(scratch(Pass::kForward), scratch(Pass::kBackward))};
  }

  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras&) const override {
    const WorkspaceScope scope(call.team.workspace());
    const SynthesizerScores scores(form_, call.team, in, weights.parameters, nullptr);
    const Index length = in.value.rows();
    explicit_softmax_forward(call.team, {scores.list(), in.value, mask(length)}, outputs.out,
                             frame ? frame->matrix(2, length) : View());
  }

  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    const WorkspaceScope scope(call.team.workspace());
    const SynthesizerScores::Gradients gradients{d_in, grads};
    const SynthesizerScores scores(form_, call.team, in, weights.parameters, &gradients);
    const Index length = in.value.rows();
    explicit_softmax_backward(call.team, {scores.list(), in.value, mask(length)}, d_outputs,
                              FrameReader(frame).matrix(2, length), d_in.value);
    scores.finish_gradients(call.team);
  }

 private:
  BandMask mask(Index length) const {
    const Extents extents{length, length};
    return causal_ ? BandMask::causal(extents) : BandMask::full(extents);
  }

  SynthesizerForm form_;
  bool causal_;
  std::vector<ParameterSpec> specs_;
  std::vector<std::string_view> inputs_;
};

/// S by the formula of its form, in double.
MatrixD learned_reference(const std::string& form, const HeadInputs& in,
                          const ConstSlices& parameters) {
  const Index length = in.value.rows();
  const auto used = [&](Index i) -> MatrixD { return parameters[i].cast<double>(); };
  if (form == "random") return used(0).topLeftCorner(length, length);
  if (form == "factorized_random") return used(0).topRows(length) * used(1).leftCols(length);
  const MatrixD hidden = in.extra[0].cast<double>().cwiseMax(0.0);
  const auto layer = [&](Index i) -> MatrixD {
    return (hidden * used(i)).rowwise() + used(i + 1).row(0);
  };
  if (form == "dense") return layer(0).leftCols(length);
  const MatrixD low = layer(0), high = layer(2);
  MatrixD scores(length, length);
  for (Index i = 0; i < length; ++i) {
    for (Index j = 0; j < length; ++j)
      scores(i, j) = low(i, j % low.cols()) * high(i, j / low.cols());
  }
  return scores;
}

MatrixD reference(const Problem& p, const Call&, const HeadInputs& in, const Weights& weights) {
  MatrixD scores = learned_reference(p.options.text("scores"), in, weights.parameters);
  if (p.options.text("dot") == "on") {
    scores += reference_scores(in.query.cast<double>(), in.key.cast<double>());
  }
  if (p.setup.causal) hide_later(scores);
  return reference_softmax(std::move(scores)) * in.value.cast<double>();
}

/// Of a pair: products, factors and sums of its score, derivatives by what those are made of, and
/// the two or four products with values. Of a row: the factors of factorized_dense.
double flops(const Problem& p) {
  const SynthesizerForm form(p.setup, p.options);
  const Index length = p.extents.query_len, value = 2 * p.setup.head_dim;
  const Index pairs = p.setup.causal ? length * (length + 1) / 2 : length * length;
  const bool outer = form.low > 0, added = form.dot > 0 && form.product == 0;
  const Index score = 2 * (form.dot + form.product) + (outer ? 1 : 0) + (added ? 1 : 0);
  const Index product_back = form.fixed() ? 0 : form.trainable ? 4 : 2;
  const Index d_score = 4 * form.dot + product_back * form.product + (outer ? 4 : 0) +
                        (form.table && form.trainable ? 1 : 0);
  const Index factors = 2 * form.hidden * (form.low + form.high) * length;
  const Index forward = pairs * (score + value) + factors;
  const Index backward = pairs * (score + d_score + 2 * value) + (form.trainable ? 3 : 2) * factors;
  return flops_of_heads(p, static_cast<double>(forward), static_cast<double>(backward));
}

double analytic_bytes(const Problem& p) {
  const SynthesizerForm form(p.setup, p.options);
  const bool one_worker_each = p.setup.num_heads >= p.workers;
  const ExplicitSoftmaxScratch one =
      scratch_of(form, p.extents, p.pass, one_worker_each ? 1 : p.workers);
  const Index scratch =
      one_worker_each ? p.workers * one.caller : one.caller + (p.workers - 1) * one.other;
  const Index frames = p.pass == Pass::kForward
                           ? 0
                           : p.setup.num_heads * softmax_statistics_bytes(p.extents.query_len);
  return static_cast<double>(frames + scratch);
}

/// R = scale * query key^T.
void make_table(HeadProblem& problem) {
  const float scale = 1 / std::sqrt(static_cast<float>(problem.setup.head_dim));
  problem.parameters[0].topLeftCorner(problem.extents.query_len, problem.extents.key_len) =
      scale * problem.inputs.query * problem.inputs.key.transpose();
}

/// R1 = scale * query, R2 = key^T.
void make_factors(HeadProblem& problem) {
  const float scale = 1 / std::sqrt(static_cast<float>(problem.setup.head_dim));
  problem.parameters[0].topRows(problem.extents.query_len) = scale * problem.inputs.query;
  problem.parameters[1].leftCols(problem.extents.key_len) = problem.inputs.key.transpose();
}

/// relu(hidden) = scale * query, for a query that is nowhere negative, W2 = key^T, b2 = 0.
void make_hidden(HeadProblem& problem) {
  const float scale = 1 / std::sqrt(static_cast<float>(problem.setup.head_dim));
  problem.inputs.query = problem.inputs.query.cwiseAbs();
  problem.inputs.extra[0] = scale * problem.inputs.query;
  problem.parameters[0].leftCols(problem.extents.key_len) = problem.inputs.key.transpose();
  problem.parameters[1].setZero();
}

void make_zero(HeadProblem& problem) {
  for (Matrix& parameter : problem.parameters) parameter.setZero();
}

const Register<Variant> kSynthesizer{{
    .name = "synthesizer",
    .summary = "softmax over learned scores, alone or beside the dot product",
    .family = "low rank + learned pattern",
    .year = 2020,
    .cost = "2 N^2 (d + w) flops forward, 2 N^2 (2 d + 3 w) backward (causal: half), w = d of the "
            "dot product and rank or d of scores that are products; saves 8 N bytes a head",
    .source = "Tay et al., Synthesizer: Rethinking Self-Attention, 2020, sections 3.1 and 3.2",
    .published_row = "Synthesizer",
    .options = {choice_option("scores", "random",
                              {"random", "factorized_random", "dense", "factorized_dense"},
                              "how scores are made beside the dot product"),
                choice_option("dot", "on", {"on", "off"}, "add the dot product of query and key"),
                integer_option("rank", 32, 1, 1024, "of factorized_random"),
                switch_option("trainable", true,
                              "false: R, R1, R2, W2, ... stay as they were drawn")},
    .claims =
        {.causal = true,
         .convex = true,
         .exact = {{.name = "R = scale query key^T",
                    .options = {{"scores", "random"}, {"dot", "off"}},
                    .edit = make_table},
                   {.name = "R1 = scale query, R2 = key^T",
                    .options = {{"scores", "factorized_random"}, {"dot", "off"}, {"rank", "20"}},
                    .edit = make_factors},
                   {.name = "relu(hidden) = scale query, W2 = key^T",
                    .options = {{"scores", "dense"}, {"dot", "off"}},
                    .edit = make_hidden},
                   {.name = "no learned scores", .options = {{"dot", "on"}}, .edit = make_zero}},
         .reference = reference},
    .make_head = [](const Setup& setup, const Options& options) -> std::unique_ptr<AttentionHead> {
      return std::make_unique<Synthesizer>(setup, options);
    },
    .flops = flops,
    .analytic_bytes = analytic_bytes,
}};

}  // namespace
}  // namespace arena
