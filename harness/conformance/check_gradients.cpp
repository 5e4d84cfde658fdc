// Checks of backward: against the oracle's gradient, against differences of the variant's own
// forward, and that it adds where it must add.

#include <algorithm>
#include <cmath>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"

namespace arena {
namespace {

/// Of max |gradient|. Two chained float sums of up to 300 terms: a few 1e-6; ten times that.
constexpr double kGradientTolerance = 5e-5;
/// Where operands are rounded to fewer bits: as outputs (check_values.cpp).
constexpr double kGradientRoundings = 4;
/// Steps along a direction of standard normals. Differences at step and step / 2 are extrapolated,
/// so what they leave out is of the order step^4. The oracle is evaluated in double, at floats some
/// units in the last place apart, so that few kinks lie between: what remains is the rounding of
/// the gradient itself, as above.
constexpr double kOracleStep = 1e-6;
constexpr double kOracleTolerance = 5e-5;
/// The variant's own forward rounds to float: about 1e-6 of the loss weights' norm, over the step,
/// times 3 for the extrapolation: 2e-4; five times that.
constexpr double kOwnStep = 2e-2;
constexpr double kOwnTolerance = 1e-3;
/// A derivative is compared relative to the gradient's norm, but not below this part of the loss
/// weights' norm, where rounding is all there is.
constexpr double kNormFloor = 1e-2;
/// Of max |gradient|: adding twice rounds once more.
constexpr double kTwiceTolerance = 1e-5;
/// The median counts: steps along one direction may cross a kink.
constexpr std::size_t kDirections = 3;

using Loss = std::function<double(const Example&)>;

/// One thing to differentiate by: some floats of an example, and backward's gradient of them.
struct Target {
  std::string name;
  std::function<View(Example&)> select;
  ConstView grad;
};

std::vector<Target> targets_of(const HeadCase& head_case, const Outcome& outcome) {
  std::vector<Target> targets;
  const std::vector<Shape> shapes = head_case.subject.inputs();
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].rows == 0) continue;
    targets.push_back({shapes[i].name, [i](Example& example) { return View(example.inputs[i]); },
                       outcome.d_inputs[i].view()});
  }
  for (const ParameterLayout::Entry& entry : head_case.example.parameters.layout.entries()) {
    const Slice slice = entry.slice;
    if (!entry.trainable) continue;
    targets.push_back({entry.name,
                       [slice](Example& example) {
                         float* const flat = example.parameters.values.data();
                         return View(flat + slice.offset, slice.rows, slice.cols);
                       },
                       ConstView(outcome.grads.data() + slice.offset, slice.rows, slice.cols)});
  }
  return targets;
}

double norm_of_loss_weights(const Example& example) {
  double sum = 0;
  for (const Matrix& weights : example.loss_weights) {
    sum += weights.cast<double>().squaredNorm();
  }
  return std::sqrt(sum);
}

/// (central difference - <gradient, direction>) / step for a direction of standard normals. What is
/// stepped is read back from the rounded floats, so rounding x +- step does not count.
double directional_excess(const Target& target, const Example& example, const Loss& loss,
                          double step, RandomKey key) {
  Example plus = example;
  Example minus = example;
  const View above = target.select(plus);
  const View below = target.select(minus);
  Matrix direction(above.rows(), above.cols());
  fill_normal(key, static_cast<float>(step), direction);
  target.select(plus) += direction;
  target.select(minus) -= direction;
  const MatrixD moved = above.cast<double>() - below.cast<double>();
  const double promised = target.grad.cast<double>().cwiseProduct(moved).sum();
  return (loss(plus) - loss(minus) - promised) / (2 * step);
}

/// Richardson's extrapolation of directional_excess to step 0, over the gradient's norm.
double directional_error(const Target& target, const Example& example, const Loss& loss,
                         double step, RandomKey key) {
  const double norm =
      std::max(target.grad.cast<double>().norm(), kNormFloor * norm_of_loss_weights(example));
  const double whole = directional_excess(target, example, loss, step, key);
  const double half = directional_excess(target, example, loss, step / 2, key);
  const double error = std::abs(4 * half - whole) / (3 * norm);
  return std::isfinite(error) ? error : HUGE_VAL;
}

/// Largest directional error over all targets; throws where it is over the tolerance.
double check_targets(const std::vector<Target>& targets, const HeadCase& head_case,
                     const Loss& loss, double step, double tolerance) {
  double worst = 0;
  for (const Target& target : targets) {
    std::array<double, kDirections> errors{};
    for (std::size_t d = 0; d < kDirections; ++d) {
      const RandomKey key = RandomKey(d).fold(Purpose::kTest).fold(target.name);
      errors[d] = directional_error(target, head_case.example, loss, step, key);
    }
    std::ranges::nth_element(errors, errors.begin() + kDirections / 2);
    const double error = errors[kDirections / 2];
    check(error <= tolerance, "d_{}: derivative along a direction is off by {:.2g}, over {} ({})",
          target.name, error, tolerance, head_case.spec.text());
    worst = std::max(worst, error);
  }
  return worst;
}

/// Every element of d_query, d_key, d_value against the double-precision gradient.
double softmax_gradient_error(const ChosenVariant& chosen, const HeadCase& head_case,
                              const Call& call, const Outcome& outcome) {
  Edges edges;
  const Visibility visibility = softmax_visibility(chosen.variant, head_case.problem, call, edges);
  const auto& weights = head_case.example.loss_weights;
  const MatrixD d_log_sum_exp = weights.size() > 1 ? weights[1].cast<double>() : MatrixD();
  const OracleGrads expected = softmax_attention_backward(to_double(head_case.inputs()), visibility,
                                                          weights[0].cast<double>(), d_log_sum_exp);
  // Relative to the largest gradient of the three: one of them may vanish (d_query at one key).
  const double largest =
      std::max({expected.query.cwiseAbs().maxCoeff(), expected.key.cwiseAbs().maxCoeff(),
                expected.value.cwiseAbs().maxCoeff()});
  const double tolerance = widened(kGradientTolerance, chosen, kGradientRoundings);
  double worst = 0;
  const std::array<const MatrixD*, 3> all{&expected.query, &expected.key, &expected.value};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const MatrixD distance = outcome.d_inputs[i].view().cast<double>() - *all[i];
    const double error = distance.allFinite() ? distance.cwiseAbs().maxCoeff() / largest : HUGE_VAL;
    check(error <= tolerance, "d_{}: error {:.2g} over {} ({})", head_case.subject.inputs()[i].name,
          error, tolerance, head_case.spec.text());
    worst = std::max(worst, error);
  }
  return worst;
}

double reference_gradient_error(const ChosenVariant& chosen, const HeadCase& head_case,
                                const Call& call, const Outcome& outcome) {
  const Loss loss = [&](const Example& example) {
    return oracle_out(chosen.variant, head_case.problem, call, HeadCase::inputs_of(example),
                      example.weights())
        .cwiseProduct(example.loss_weights[0].cast<double>())
        .sum();
  };
  return check_targets(targets_of(head_case, outcome), head_case, loss, kOracleStep,
                       kOracleTolerance);
}

}  // namespace

Verdict check_oracle_gradients(const ChosenVariant& chosen) {
  if (!has_oracle(chosen.variant)) {
    return {true, "claims no pattern, reference or unconditional exact case"};
  }
  const bool softmax = has_softmax_oracle(chosen.variant);
  Workers workers(1);
  const Call call = check_call(workers.team());
  double worst = 0;
  for (const CaseSpec& spec : softmax ? usual_cases(chosen.variant) : few_cases(chosen.variant)) {
    const HeadCase head_case(chosen, spec);
    const Outcome outcome = run(head_case.subject, head_case.example, call);
    const Call with_plan = frozen(head_case.with_edges(call), outcome.plan);
    worst =
        std::max(worst, softmax ? softmax_gradient_error(chosen, head_case, with_plan, outcome)
                                : reference_gradient_error(chosen, head_case, with_plan, outcome));
  }
  return {.detail = fmt::format("max error {:.1e}", worst)};
}

Verdict check_own_gradients(const ChosenVariant& chosen) {
  if (const Arithmetic arithmetic = chosen.variant.arithmetic_of(chosen.options);
      arithmetic.rounding > 0) {
    return {true, arithmetic.precision + " steps: differences of its forward are no derivatives"};
  } else if (arithmetic.kinks) {
    return {true, "has kinks, and steps that float can see meet them"};
  }
  Workers workers(1);
  const Call call = check_call(workers.team());
  double worst = 0;
  for (const CaseSpec& spec : few_cases(chosen.variant)) {
    // There a step that float can see bends sums over all keys; the oracle's is small enough.
    if (spec.extents.key_len == kLongLen) continue;
    const HeadCase head_case(chosen, spec);
    const Outcome outcome = run(head_case.subject, head_case.example, call);
    const Call with_plan = frozen(call, outcome.plan);
    const Loss loss = [&](const Example& example) {
      return run(head_case.subject, example, with_plan, {.frame = false}).loss(example);
    };
    worst = std::max(worst, check_targets(targets_of(head_case, outcome), head_case, loss, kOwnStep,
                                          kOwnTolerance));
  }
  return {.detail = fmt::format("max error {:.1e}", worst)};
}

Verdict check_accumulation(const ChosenVariant& chosen) {
  Workers workers(1);
  const Call call = check_call(workers.team());
  for (const CaseSpec& spec : few_cases(chosen.variant)) {
    const HeadCase head_case(chosen, spec);
    const Outcome once = run(head_case.subject, head_case.example, call);
    const std::string kept = not_finite(head_case.subject, once);  // d_in starts as NaN
    check(kept.empty(), "backward does not overwrite: {} ({})", kept, spec.text());
    Outcome twice = run(head_case.subject, head_case.example, call, {.backwards = 2});
    const auto count = static_cast<Index>(once.grads.size());
    const ConstView grads_once(once.grads.data(), 1, count);
    const ConstView grads_twice(twice.grads.data(), 1, count);
    const double error = max_error(grads_twice, 2 * grads_once.cast<double>());
    check(error <= kTwiceTolerance, "backward twice does not add twice: off by {:.2g} ({})", error,
          spec.text());
    twice.grads = once.grads;
    const std::string differs = difference(head_case.subject, once, twice);
    check(differs.empty(), "backward does not overwrite: {} after one and two runs ({})", differs,
          spec.text());
  }
  return {};
}

}  // namespace arena
