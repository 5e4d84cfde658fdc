// Checks of inputs that are no ordinary numbers. What is demanded:
// - Whatever stands in the inputs, every call ends and writes nothing but its outputs.
// - A NaN in one entry reaches what the explicit formula lets it reach, and is not hidden there: a
//   key that a row does not see is absent. The other outputs are what they are without it. So with
//   an infinity; whether it makes a NaN, or counts as a weight of 0, is left to the kernel.
// - In its own column a value may reach rows of its tile that do not see it: tiles multiply it by
//   the weight 0. For the same reason gradients are only asked not to hide a NaN (but of a value,
//   where the formula is no softmax: an average has none that depends on it), and causal formulas
//   that are no softmax over a pattern only about their queries.
// - Inputs of 1e6 and values of 1e18 give finite outputs and gradients, queries and keys of 1e18
//   finite outputs where the weights are a softmax over a pattern in float. Denormal inputs give
//   what the formula gives, where a processor that takes them for 0 is as good.

#include <cmath>
#include <limits>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"

namespace arena {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Scores of kHuge differ by more than exp takes from what another order of the same sum gives, so
/// what recomputes them has no finite gradients; at kLarge they are as good as any.
constexpr float kHuge = 0x1p60F;
constexpr float kLarge = 0x1p20F;
constexpr float kDenormal = 0x1p-140F;  // of a normal draw: below 2^-126
/// What a processor that takes denormal numbers for 0 may err.
constexpr double kFlushed = std::numeric_limits<float>::min();
constexpr Index kMargin = 19;
constexpr float kGuard = -12345.5F;
/// Those of the checks "oracle" and "convex".
constexpr double kTolerance = 1e-5;
constexpr double kRoundings = 4;

/// Several tiles of any engine, and less than one.
std::vector<CaseSpec> number_cases(const Variant& variant) {
  std::vector<CaseSpec> cases;
  for (const bool causal : causal_modes(variant)) {
    for (const Index length : {Index{33}, kLongLen}) {
      cases.push_back({.extents = {length, length}, .causal = causal});
    }
  }
  return cases;
}

/// One entry of one input.
struct Place {
  std::size_t slot;
  Index row, col;

  std::string text(const HeadCase& head_case) const {
    return fmt::format("{}[{}, {}], {}", head_case.subject.inputs()[slot].name, row, col,
                       head_case.spec.text());
  }
};

Outcome run_guarded(const HeadCase& head_case, const Call& call, const std::string& what) {
  Outcome outcome =
      run(head_case.subject, head_case.example, call, {.margin = kMargin, .output_guard = kGuard});
  for (const auto* matrices : {&outcome.outputs, &outcome.d_inputs}) {
    for (const GuardedMatrix& matrix : *matrices) {
      check(matrix.untouched(), "writes outside an output at {}", what);
    }
  }
  return outcome;
}

/// What the formula gives under the plan of `outcome`.
MatrixD formula(const ChosenVariant& chosen, const HeadCase& head_case, const Call& call,
                const Outcome& outcome) {
  return oracle_out(chosen.variant, head_case.problem,
                    frozen(head_case.with_edges(call), outcome.plan), head_case.inputs(),
                    head_case.example.weights());
}

double largest_finite(const MatrixD& matrix) {
  double largest = 0;
  for (Index i = 0; i < matrix.size(); ++i) {
    if (std::isfinite(matrix.data()[i])) largest = std::max(largest, std::abs(matrix.data()[i]));
  }
  return largest;
}

/// Throws unless `out` is `want` where that is finite.
void check_unreached(ConstView out, const MatrixD& want, const Place& place, double tolerance,
                     const std::string& what) {
  const double allowed = tolerance * largest_finite(want);
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index c = 0; c < out.cols(); ++c) {
      if (!std::isfinite(want(i, c)) || (place.slot == 2 && c == place.col)) continue;
      check(std::abs(static_cast<double>(out(i, c)) - want(i, c)) <= allowed,
            "out[{}, {}] is {}, which {} does not reach: {} without it", i, c, out(i, c), what,
            want(i, c));
    }
  }
}

/// Throws if `out` is finite where `want` is not.
void check_not_hidden(ConstView out, const MatrixD& want, const std::string& what) {
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index c = 0; c < out.cols(); ++c) {
      check(std::isfinite(want(i, c)) || !std::isfinite(out(i, c)),
            "out[{}, {}] is {}, which hides {}", i, c, out(i, c), what);
    }
  }
}

void check_place(const ChosenVariant& chosen, const CaseSpec& spec, const Call& call,
                 const Place& place) {
  const bool softmax = has_softmax_oracle(chosen.variant);
  const bool judged = softmax || !spec.causal || place.slot == 0;
  for (const float value : {kNaN, kInfinity, -kInfinity}) {
    HeadCase head_case(chosen, spec);
    const std::string what = fmt::format("{} in {}", value, place.text(head_case));
    float& entry = head_case.example.inputs[place.slot](place.row, place.col);
    entry = value;
    const Outcome outcome = run_guarded(head_case, call, what);
    if (!judged || !has_oracle(chosen.variant)) continue;
    entry = kNaN;
    const MatrixD want = formula(chosen, head_case, call, outcome);
    const ConstView out = outcome.outputs[0].view();
    check_unreached(out, want, place, widened(kTolerance, chosen, kRoundings), what);
    if (!std::isnan(value)) continue;
    if (softmax || place.slot != 2) check_not_hidden(out, want, what);
    if (!softmax && place.slot == 2) continue;  // gradients may not depend on values
    check(out.array().isFinite().all() || !not_finite_gradient(head_case.subject, outcome).empty(),
          "no gradient shows {}", what);
  }
}

/// All of one input times `factor`.
void check_magnitude(const ChosenVariant& chosen, const CaseSpec& spec, const Call& call,
                     std::size_t slot, float factor) {
  HeadCase head_case(chosen, spec);
  const bool multiplied = slot > 2 && factor > 1;  // by another input of its own kind
  head_case.example.inputs[slot] *= multiplied ? std::sqrt(factor) : factor;
  const std::string what = fmt::format("{} times {:.2g}, {}", head_case.subject.inputs()[slot].name,
                                       factor, spec.text());
  const Outcome outcome = run_guarded(head_case, call, what);
  const MatrixD out = outcome.outputs[0].view().cast<double>();
  if (factor < kHuge || slot == 2) {
    const std::string bad = not_finite(head_case.subject, outcome);
    check(bad.empty(), "{} at {}", bad, what);
  } else if (has_softmax_oracle(chosen.variant) &&
             chosen.variant.arithmetic_of(chosen.options).rounding == 0) {
    check(out.array().isFinite().all(), "out is not finite at {}", what);
  }
  if (factor > 1 || !has_oracle(chosen.variant)) return;
  const MatrixD want = formula(chosen, head_case, call, outcome);
  const double error = (out - want).cwiseAbs().maxCoeff();
  const double allowed =
      widened(kTolerance, chosen, kRoundings) * want.cwiseAbs().maxCoeff() + kFlushed;
  check(error <= allowed, "out errs by {:.2g} at {}", error, what);
}

}  // namespace

Verdict check_non_finite(const ChosenVariant& chosen) {
  Workers workers(1);
  const Call call = check_call(workers.team());
  Index places = 0;
  for (const CaseSpec& spec : number_cases(chosen.variant)) {
    const std::vector<Shape> shapes = HeadCase(chosen, spec).subject.inputs();
    for (std::size_t slot = 0; slot < shapes.size(); ++slot) {
      if (shapes[slot].rows == 0) continue;
      for (const Index row : {Index{0}, shapes[slot].rows / 2, shapes[slot].rows - 1}) {
        check_place(chosen, spec, call, {slot, row, row % shapes[slot].cols});
        ++places;
      }
    }
  }
  return {.detail = fmt::format("{} places", places)};
}

Verdict check_magnitudes(const ChosenVariant& chosen) {
  Workers workers(1);
  const Call call = check_call(workers.team());
  for (const CaseSpec& spec : number_cases(chosen.variant)) {
    const std::vector<Shape> shapes = HeadCase(chosen, spec).subject.inputs();
    for (std::size_t slot = 0; slot < shapes.size(); ++slot) {
      if (shapes[slot].rows == 0) continue;
      for (const float factor : {kHuge, kLarge, kDenormal}) {
        check_magnitude(chosen, spec, call, slot, factor);
      }
    }
  }
  return {};
}

}  // namespace arena
