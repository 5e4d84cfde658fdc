// Checks of values: against the oracle, in the exact cases, and as means over keys.

#include <algorithm>
#include <cmath>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"

namespace arena {
namespace {

/// Of max |out|. Sums of up to 300 float terms, exponentials good to a few units in the last place:
/// about 1e-6 in all; ten times that.
constexpr double kOutputTolerance = 1e-5;
/// Where operands are rounded to fewer bits: a score of unit inputs, up to 4 or 5, moves by that
/// times the rounding of query and key, a weight by as much and its own rounding, a value by its
/// own; they partly cancel.
constexpr double kOutputRoundings = 4;
/// Draws of an estimator; its standard error is then known to about 2%.
constexpr Index kEstimates = 2000;
/// Times unit inputs: exponentials of larger ones have means that few draws make up.
constexpr float kEstimatorInputs = 0.5F;
/// Of max |expectation|: what rounding may add to an estimator without any spread.
constexpr double kEstimatorFloor = 1e-5;

HeadProblem to_head_problem(const HeadCase& head_case) {
  const Extents& extents = head_case.spec.extents;
  const auto input = [&](Index slot) -> Matrix {
    const Matrix& given = head_case.example.inputs[static_cast<std::size_t>(slot)];
    if (given.size() > 0 || slot > 1) return given;
    Matrix drawn(slot == 0 ? extents.query_len : extents.key_len, head_case.spec.head_dim);
    fill_normal(RandomKey(static_cast<std::uint64_t>(slot)).fold(Purpose::kTest), 1, drawn);
    return drawn;
  };
  HeadProblem problem{.setup = head_case.problem.setup,
                      .extents = extents,
                      .inputs = head_matrices<Matrix>(input),
                      .parameters = {}};
  const ConstSlices slices = head_case.example.parameters.read();
  for (Index p = 0; p < slices.size(); ++p) problem.parameters.emplace_back(slices[p]);
  return problem;
}

void write_back(const HeadProblem& problem, Example& example) {
  for (std::size_t slot = 0; slot < example.inputs.size(); ++slot) {
    Matrix& input = example.inputs[slot];
    if (input.size() > 0) input = problem.inputs[static_cast<Index>(slot)];
  }
  const Slices slices = example.parameters.write();
  for (Index p = 0; p < slices.size(); ++p) {
    slices[p] = problem.parameters[static_cast<std::size_t>(p)];
  }
}

/// Error of out, and of log_sum_exp where the variant claims it.
double softmax_error(const Outcome& outcome, const OracleOutputs& expected) {
  double error = max_error(outcome.outputs[0].view(), expected.out);
  if (outcome.outputs.size() > 1) {
    error = std::max(error, max_error(outcome.outputs[1].view(), expected.log_sum_exp));
  }
  return error;
}

double oracle_error(const ChosenVariant& chosen, const HeadCase& head_case, const Call& call) {
  const Outcome outcome = run(head_case.subject, head_case.example, call, {.frame = false});
  const HeadInputs in = head_case.inputs();
  const Call with_plan = frozen(head_case.with_edges(call), outcome.plan);
  if (!has_softmax_oracle(chosen.variant)) {
    return max_error(
        outcome.outputs[0].view(),
        oracle_out(chosen.variant, head_case.problem, with_plan, in, head_case.example.weights()));
  }
  Edges edges;
  const Visibility visibility =
      softmax_visibility(chosen.variant, head_case.problem, with_plan, edges);
  return softmax_error(outcome, softmax_attention(to_double(in), visibility));
}

double exact_case_error(const ExactCase& exact, HeadCase& head_case, const Call& call) {
  HeadProblem problem = to_head_problem(head_case);
  if (exact.edit) exact.edit(problem);
  write_back(problem, head_case.example);
  const Outcome outcome = run(head_case.subject, head_case.example, call, {.frame = false});
  Edges edges;
  if (exact.edges) edges = exact.edges(problem);
  const HeadInputs in{problem.inputs.query, problem.inputs.key, problem.inputs.value};
  return softmax_error(outcome,
                       softmax_attention(to_double(in), {.causal = problem.setup.causal,
                                                         .edges = exact.edges ? &edges : nullptr}));
}

std::vector<CaseSpec> cases_of(const ExactCase& exact, const Variant& variant) {
  std::vector<CaseSpec> cases;
  if (exact.extents.query_len == 0) return few_cases(variant);
  for (const bool causal : causal_modes(variant)) {
    cases.push_back({.extents = exact.extents, .causal = causal, .max_len = exact.extents.key_len});
  }
  return cases;
}

/// What one draw of the call's key and of the buffers estimates.
MatrixD draw_estimate(const Estimator& estimator, HeadCase& head_case, Call call, Index draw) {
  call.key = call.key.fold(static_cast<std::uint64_t>(draw));
  head_case.example.buffers = FlatValues(head_case.head->buffers(), call.key.fold("buffers"));
  if (estimator.estimate) {
    return estimator.estimate(head_case.problem, call, head_case.inputs(),
                              head_case.example.weights());
  }
  const Outcome outcome = run(head_case.subject, head_case.example, call, {.frame = false});
  return outcome.outputs[0].view().cast<double>();
}

/// Largest distance of the mean over draws from the expectation, in units of what is allowed.
double estimator_excess(const Estimator& estimator, const ChosenVariant& chosen, const Team& team) {
  HeadCase head_case(chosen, {.extents = {7, 7}, .head_dim = 8});
  for (Matrix& input : head_case.example.inputs) input *= kEstimatorInputs;
  const Call call = check_call(team);
  const MatrixD expected = estimator.expectation(head_case.problem, call, head_case.inputs(),
                                                 head_case.example.weights());
  MatrixD sum = MatrixD::Zero(expected.rows(), expected.cols());
  MatrixD squares = sum;
  for (Index draw = 0; draw < kEstimates; ++draw) {
    const MatrixD distance = draw_estimate(estimator, head_case, call, draw) - expected;
    sum += distance;
    squares += distance.cwiseProduct(distance);
  }
  constexpr auto kCount = static_cast<double>(kEstimates);
  const double floor = kEstimatorFloor * expected.cwiseAbs().maxCoeff();
  double excess = 0;
  for (Index i = 0; i < expected.size(); ++i) {
    const double mean = sum.data()[i] / kCount;
    const double variance = std::max(0.0, squares.data()[i] / kCount - mean * mean);
    const double allowed = estimator.standard_errors * std::sqrt(variance / kCount) + floor;
    excess = std::max(excess, std::abs(mean) / allowed);
  }
  return excess;
}

/// Throws unless each part between " + " is a class that lists know.
void check_family(const std::string& family) {
  const std::vector<std::string> known(kFamilies.begin(), kFamilies.end());
  constexpr std::string_view kPlus = " + ";
  for (std::size_t begin = 0; begin <= family.size();) {
    const std::size_t end = std::min(family.find(kPlus, begin), family.size());
    const std::string part = family.substr(begin, end - begin);
    if (std::ranges::count(known, part) == 0) throw Error(unknown_name("family", part, known));
    begin = end + kPlus.size();
  }
}

}  // namespace

Verdict check_claims(const ChosenVariant& chosen) {
  const Variant& variant = chosen.variant;
  const Claims& claims = variant.claims;
  check(!claims.exact.empty() || claims.pattern || claims.reference,
        "claims neither an exact case nor a pattern nor a reference: nothing to hold it against");
  const int levels = int{bool{variant.make_head}} + int{bool{variant.make_layer}} +
                     int{bool{variant.make_encoder}};
  check(levels == 1, "sets {} of make_head, make_layer and make_encoder, expected one", levels);
  check(bool{variant.make_head}, "has no head form, and the suite no adapter for other levels");
  check(bool{variant.flops} && bool{variant.analytic_bytes},
        "lacks the formula of flops or of analytic_bytes");
  for (const auto& [what, text] :
       std::initializer_list<std::pair<const char*, std::string>>{{"summary", variant.summary},
                                                                  {"family", variant.family},
                                                                  {"cost", variant.cost},
                                                                  {"source", variant.source}}) {
    check(!text.empty(), "its {} is empty", what);
  }
  check(variant.year > 0, "its year is {}", variant.year);
  check_family(variant.family);
  return {.detail = fmt::format("{} exact, {} pattern, {} reference", claims.exact.size(),
                                claims.pattern ? 1 : 0, claims.reference ? 1 : 0)};
}

Verdict check_oracle(const ChosenVariant& chosen) {
  if (!has_oracle(chosen.variant)) {
    return {true, "claims no pattern, reference or unconditional exact case"};
  }
  Workers workers(1);
  const double tolerance = widened(kOutputTolerance, chosen, kOutputRoundings);
  double worst = 0;
  for (const CaseSpec& spec : usual_cases(chosen.variant)) {
    const HeadCase head_case(chosen, spec);
    const double error = oracle_error(chosen, head_case, check_call(workers.team()));
    check(error <= tolerance, "error {:.2g} over {} ({})", error, tolerance, spec.text());
    worst = std::max(worst, error);
  }
  return {.detail = fmt::format("max error {:.1e}", worst)};
}

Verdict check_exact_cases(const ChosenVariant& chosen) {
  if (chosen.variant.claims.exact.empty()) return {true, "claims no exact case"};
  Workers workers(1);
  double worst = 0;
  for (const ExactCase& exact : chosen.variant.claims.exact) {
    const ChosenVariant with = with_options(chosen, exact.options);
    const double tolerance = widened(kOutputTolerance, with, kOutputRoundings);
    for (const CaseSpec& spec : cases_of(exact, chosen.variant)) {
      HeadCase head_case(with, spec);
      const double error = exact_case_error(exact, head_case, check_call(workers.team()));
      check(error <= tolerance, "case '{}': error {:.2g} over {} ({})", exact.name, error,
            tolerance, spec.text());
      worst = std::max(worst, error);
    }
  }
  return {.detail =
              fmt::format("{} cases, max error {:.1e}", chosen.variant.claims.exact.size(), worst)};
}

Verdict check_estimators(const ChosenVariant& chosen) {
  if (chosen.variant.claims.estimators.empty()) return {true, "claims no estimator"};
  Workers workers(1);
  double worst = 0;
  for (const Estimator& estimator : chosen.variant.claims.estimators) {
    const double excess =
        estimator_excess(estimator, with_options(chosen, estimator.options), workers.team());
    check(excess <= 1, "'{}': the mean of {} draws is {:.2g} times the {} standard errors allowed",
          estimator.name, kEstimates, excess, estimator.standard_errors);
    worst = std::max(worst, excess);
  }
  return {.detail = fmt::format("at {:.2f} of what is allowed", worst)};
}

}  // namespace arena
