// Checks of properties that need no oracle.

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"

namespace arena {
namespace {

/// Of max |value|: weights that sum to 1 do so to a few float units in the last place.
constexpr double kConvexTolerance = 5e-6;
/// Where operands are rounded: a value and its weight.
constexpr double kConvexRoundings = 2;
/// Of max |out|: another order of the same float sums.
constexpr double kEquivariantTolerance = 1e-5;
/// Another running maximum scales the weights otherwise before they are rounded.
constexpr double kEquivariantRoundings = 2;
/// Largest |logit| of the extreme case.
constexpr float kExtremeLogit = 1e4F;

/// New random numbers in the rows from `first` on.
void redraw_rows(Matrix& matrix, Index first, std::string_view name) {
  Matrix fresh(matrix.rows(), matrix.cols());
  fill_normal(RandomKey(1).fold(Purpose::kTest).fold(name), 2, fresh);
  matrix.bottomRows(matrix.rows() - first) = fresh.bottomRows(matrix.rows() - first);
}

/// First query row that may see key j.
Index first_seeing(Index j, const Extents& extents) {
  return std::clamp(j - causal_limit(0, extents), Index{0}, extents.query_len);
}

/// Redraws the keys and values from j on, and the queries that may see them, under the same plan:
/// nothing before may change.
void check_outputs_before(const HeadCase& head_case, const Call& call, Index j) {
  const Index row = first_seeing(j, head_case.spec.extents);
  const std::vector<Shape> shapes = head_case.subject.inputs();
  Example changed = head_case.example;
  for (std::size_t slot = 0; slot < shapes.size(); ++slot) {
    if (shapes[slot].rows == 0) continue;
    redraw_rows(changed.inputs[slot], slot == 1 || slot == 2 ? j : row, shapes[slot].name);
  }
  Outcome before = run(head_case.subject, head_case.example, call, {.frame = false});
  Outcome after = run(head_case.subject, changed, frozen(call, before.plan), {.frame = false});
  for (Outcome* outcome : {&before, &after}) {
    for (GuardedMatrix& matrix : outcome->outputs) {
      matrix.view().bottomRows(matrix.view().rows() - row).setZero();
    }
  }
  const std::string differs = output_difference(head_case.subject, before, after);
  check(differs.empty(), "{} before and after keys from {} on changed ({})", differs, j,
        head_case.spec.text());
}

/// A loss of the rows that see no key from j on has no gradient by those keys.
void check_gradient_after(const HeadCase& head_case, const Call& call, Index j) {
  Example early = head_case.example;
  const Index row = first_seeing(j, head_case.spec.extents);
  for (Matrix& weights : early.loss_weights) weights.bottomRows(weights.rows() - row).setZero();
  const Outcome outcome = run(head_case.subject, early, call);
  for (const std::size_t input : {1U, 2U}) {
    const ConstView grad = outcome.d_inputs[input].view();
    if (grad.empty()) continue;
    check((grad.bottomRows(grad.rows() - j).array() == 0).all(),
          "d_{} from row {} on is not 0, though the loss is of out rows before {} ({})",
          head_case.subject.inputs()[input].name, j, row, head_case.spec.text());
  }
}

/// Gives `to` the keys and values of `from` in another order, and the edges that belong to it.
void reorder_keys(const HeadCase& from, HeadCase& to) {
  const Extents& extents = from.spec.extents;
  const std::vector<Index> place =
      RandomStream(RandomKey(2).fold(Purpose::kTest)).permutation(extents.key_len);
  const auto place_of = [&](Index j) { return place[static_cast<std::size_t>(j)]; };
  for (const std::size_t input : {1U, 2U}) {
    const Matrix& rows = from.example.inputs[input];
    for (Index j = 0; j < rows.rows(); ++j) {
      to.example.inputs[input].row(place_of(j)) = rows.row(j);
    }
  }
  if (from.edges.row_begin.empty()) return;
  std::vector<std::pair<Index, Index>> pairs;
  for (Index i = 0; i < extents.query_len; ++i) {
    for (const Index j : visible_keys({.edges = &from.edges}, extents, i)) {
      pairs.emplace_back(i, place_of(j));
    }
  }
  to.edges = make_edges(extents.query_len, extents.key_len, pairs);
}

bool sees_a_key(const HeadCase& head_case, Index i) {
  const auto row = static_cast<std::size_t>(i);
  const std::vector<Index>& begin = head_case.edges.row_begin;
  if (!begin.empty()) return begin[row] < begin[row + 1];
  return !head_case.spec.causal || causal_limit(i, head_case.spec.extents) >= 0;
}

/// out beyond the least or greatest value of its column, relative to the greatest |value|; of rows
/// that see a key.
double outside_value_range(const HeadCase& head_case, ConstView out) {
  const Matrix& value = head_case.example.inputs[2];
  const double largest = std::max(1e-30, static_cast<double>(value.cwiseAbs().maxCoeff()));
  double outside = 0;
  for (Index c = 0; c < value.cols(); ++c) {
    const double low = value.col(c).minCoeff();
    const double high = value.col(c).maxCoeff();
    for (Index i = 0; i < out.rows(); ++i) {
      if (!sees_a_key(head_case, i)) continue;
      const double x = out(i, c);
      if (!std::isfinite(x)) return HUGE_VAL;
      outside = std::max({outside, low - x, x - high});
    }
  }
  return outside / largest;
}

/// Queries scaled so that the largest of all logits reaches kExtremeLogit; without keys, those of
/// the queries with themselves.
void scale_to_extreme(HeadCase& head_case) {
  Matrix& query = head_case.example.inputs[0];
  if (query.size() == 0) return;
  const Matrix& given = head_case.example.inputs[1];
  const Matrix& key = given.size() == 0 ? query : given;
  const Matrix logits =
      query * key.transpose() / std::sqrt(static_cast<float>(head_case.spec.head_dim));
  query *= kExtremeLogit / logits.cwiseAbs().maxCoeff();
}

}  // namespace

Verdict check_lengths_run(const ChosenVariant& chosen) {
  Workers workers(1);
  const std::vector<CaseSpec> cases = usual_cases(chosen.variant);
  for (const CaseSpec& spec : cases) {
    const HeadCase head_case(chosen, spec);
    const Outcome outcome = run(head_case.subject, head_case.example, check_call(workers.team()));
    const std::string bad = not_finite(head_case.subject, outcome);
    check(bad.empty(), "{} ({})", bad, spec.text());
  }
  return {.detail = fmt::format("{} cases", cases.size())};
}

Verdict check_empty_refused(const ChosenVariant& chosen) {
  const Setup setup{.max_len = kMaxLen};
  for (const Extents& extents : {Extents{0, 0}, Extents{0, 7}, Extents{7, 0}}) {
    const auto error = error_of([&] { check_extents(chosen.variant, setup, extents); });
    check(error.has_value(), "{} queries and {} keys are not refused", extents.query_len,
          extents.key_len);
  }
  check(error_of([&] {
          check_extents(chosen.variant, setup, {kMaxLen + 1, kMaxLen + 1});
        }).has_value(),
        "more keys than max_len are not refused");
  if (!chosen.variant.claims.cross) {
    const auto error = error_of([&] { check_extents(chosen.variant, setup, {7, 8}); });
    check(error && error->failure == Failure::kUnsupported,
          "claims no cross attention, but 7 queries and 8 keys are not refused");
  }
  return {};
}

Verdict check_causal(const ChosenVariant& chosen) {
  if (!chosen.variant.claims.causal) return {true, "does not claim causal"};
  Workers workers(1);
  const Call call = check_call(workers.team());
  for (const CaseSpec& spec : few_cases(chosen.variant)) {
    if (!spec.causal) continue;
    const HeadCase head_case(chosen, spec);
    const Index last = spec.extents.key_len - 1;
    for (const Index j : {last, (last + 1) / 2, Index{1}}) {
      check_outputs_before(head_case, call, j);
      check_gradient_after(head_case, call, j);
    }
  }
  return {};
}

Verdict check_causal_refused(const ChosenVariant& chosen) {
  if (chosen.variant.claims.causal) return {true, "claims causal"};
  const auto error = error_of(
      [&] { make_head(chosen.variant, {.max_len = kMaxLen, .causal = true}, chosen.options); });
  check(error.has_value(), "does not claim causal, but is made causal without an Error");
  check(error->failure == Failure::kUnsupported &&
            error->message.find(chosen.variant.name) != std::string::npos,
        "refuses causal with '{}', which is not an unsupported request naming it", error->message);
  return {};
}

Verdict check_convex(const ChosenVariant& chosen) {
  if (!chosen.variant.claims.convex) return {true, "does not claim convex"};
  Workers workers(1);
  const Call call = check_call(workers.team());
  const double tolerance = widened(kConvexTolerance, chosen, kConvexRoundings);
  double worst = 0;
  for (const CaseSpec& spec : few_cases(chosen.variant)) {
    HeadCase head_case(chosen, spec);
    const auto outside = [&] {
      const Outcome outcome = run(head_case.subject, head_case.example, call, {.frame = false});
      return outside_value_range(head_case, outcome.outputs[0].view());
    };
    const double mixed = outside();
    Matrix& value = head_case.example.inputs[2];
    value = value.row(0).replicate(value.rows(), 1).eval();
    const double constant = outside();
    check(mixed <= tolerance, "out leaves the range of the values by {:.2g} ({})", mixed,
          spec.text());
    check(constant <= tolerance, "constant values come back changed by {:.2g} ({})", constant,
          spec.text());
    worst = std::max({worst, mixed, constant});
  }
  return {.detail = fmt::format("max error {:.1e}", worst)};
}

Verdict check_equivariant(const ChosenVariant& chosen) {
  if (!chosen.variant.claims.equivariant) return {true, "does not claim equivariant"};
  Workers workers(1);
  const Call call = check_call(workers.team());
  const double tolerance = widened(kEquivariantTolerance, chosen, kEquivariantRoundings);
  double worst = 0;
  for (const CaseSpec& spec : few_cases(chosen.variant)) {
    if (spec.causal) continue;
    const HeadCase head_case(chosen, spec);
    HeadCase shuffled(chosen, spec);
    reorder_keys(head_case, shuffled);
    const Outcome plain = run(head_case.subject, head_case.example, call, {.frame = false});
    const Outcome other = run(shuffled.subject, shuffled.example, call, {.frame = false});
    const double error = max_error(other.outputs[0].view(), plain.outputs[0].view().cast<double>());
    check(error <= tolerance, "reordered keys change out by {:.2g} ({})", error, spec.text());
    worst = std::max(worst, error);
  }
  return {.detail = fmt::format("max error {:.1e}", worst)};
}

Verdict check_extreme_logits(const ChosenVariant& chosen) {
  Workers workers(1);
  const double tolerance = widened(kConvexTolerance, chosen, kConvexRoundings);
  for (const CaseSpec& spec : few_cases(chosen.variant)) {
    HeadCase head_case(chosen, spec);
    scale_to_extreme(head_case);
    const Outcome outcome = run(head_case.subject, head_case.example, check_call(workers.team()));
    const std::string bad = not_finite(head_case.subject, outcome);
    check(bad.empty(), "{} at logits of {} ({})", bad, kExtremeLogit, spec.text());
    if (!chosen.variant.claims.convex) continue;
    const double outside = outside_value_range(head_case, outcome.outputs[0].view());
    check(outside <= tolerance, "out leaves the range of the values by {:.2g} ({})", outside,
          spec.text());
  }
  return {};
}

}  // namespace arena
