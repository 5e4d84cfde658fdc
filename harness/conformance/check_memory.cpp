// Checks of what a call reads, writes and keeps.

#include <algorithm>
#include <limits>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"

namespace arena {
namespace {

/// Rows and columns of guard around each matrix: enough to catch a whole vector or tile row too
/// many, and odd, so that no row but the first is aligned.
constexpr Index kMargin = 19;
constexpr float kGuard = -12345.5F;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
/// Bytes of NaN left in a workspace before a run: more than any case below needs.
constexpr Index kDirtyBytes = Index{8} << 20;

void fill_with_nan(Workspace& workspace) {
  const WorkspaceScope scope(workspace);
  std::ranges::fill(workspace.take<float>(kDirtyBytes / 4), kNaN);
}

void check_guards(const std::vector<Shape>& shapes, const std::vector<GuardedMatrix>& matrices,
                  const char* prefix, const CaseSpec& spec) {
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    check(matrices[i].untouched(), "writes outside {}{} ({})", prefix, shapes[i].name, spec.text());
  }
}

}  // namespace

Verdict check_sentinels(const ChosenVariant& chosen) {
  Workers workers(1);
  for (const CaseSpec& spec : usual_cases(chosen.variant)) {
    const HeadCase head_case(chosen, spec);
    const Outcome outcome = run(head_case.subject, head_case.example, check_call(workers.team()),
                                {.margin = kMargin, .output_guard = kGuard});
    check_guards(head_case.subject.outputs(), outcome.outputs, "", spec);
    check_guards(head_case.subject.inputs(), outcome.d_inputs, "d_", spec);
    const std::string bad = not_finite(head_case.subject, outcome);
    check(bad.empty(), "{}: not written through a row stride ({})", bad, spec.text());
  }
  return {};
}

Verdict check_beyond_views(const ChosenVariant& chosen) {
  Workers workers(1);
  const Call call = check_call(workers.team());
  for (const CaseSpec& spec : usual_cases(chosen.variant)) {
    const HeadCase head_case(chosen, spec);
    const Outcome zeros = run(head_case.subject, head_case.example, call, {.margin = kMargin});
    const Outcome nans =
        run(head_case.subject, head_case.example, call, {.margin = kMargin, .input_guard = kNaN});
    const std::string differs = difference(head_case.subject, zeros, nans);
    check(differs.empty(), "{} with zeros and with NaN beyond the views ({})", differs,
          spec.text());
  }
  return {};
}

Verdict check_used_workspace(const ChosenVariant& chosen) {
  std::vector<Outcome> fresh;
  const std::vector<CaseSpec> cases = few_cases(chosen.variant);
  for (const CaseSpec& spec : cases) {
    Workers workers(1);
    const HeadCase head_case(chosen, spec);
    fresh.push_back(run(head_case.subject, head_case.example, check_call(workers.team())));
  }
  Workers used(1);
  for (const bool dirty : {false, true}) {
    for (std::size_t c = cases.size(); c-- > 0;) {
      if (dirty) fill_with_nan(used.team().workspace());
      const HeadCase head_case(chosen, cases[c]);
      const Outcome again = run(head_case.subject, head_case.example, check_call(used.team()));
      const std::string differs = difference(head_case.subject, fresh[c], again);
      check(differs.empty(), "{} in a fresh workspace and {} ({})", differs,
            dirty ? "over NaN" : "after other lengths", cases[c].text());
    }
  }
  return {};
}

Verdict check_frameless(const ChosenVariant& chosen) {
  Workers workers(1);
  const Call call = check_call(workers.team());
  for (const CaseSpec& spec : few_cases(chosen.variant)) {
    const HeadCase head_case(chosen, spec);
    const Outcome with = run(head_case.subject, head_case.example, call);
    const Outcome without = run(head_case.subject, head_case.example, call, {.frame = false});
    const std::string differs = output_difference(head_case.subject, with, without);
    check(differs.empty(), "{} with and without a frame ({})", differs, spec.text());
  }
  return {};
}

Verdict check_footprint(const ChosenVariant& chosen) {
  Workers workers(1);
  const Call call = check_call(workers.team());
  for (const CaseSpec& spec : usual_cases(chosen.variant)) {
    const HeadCase head_case(chosen, spec);
    const Footprint promised = head_case.subject.footprint(call);
    const Outcome outcome = run(head_case.subject, head_case.example, call);
    const Outcome inference = run(head_case.subject, head_case.example, call, {.frame = false});
    for (const auto& [pass, taken] :
         {std::pair{"forward", outcome.forward_scratch},
          std::pair{"backward", outcome.backward_scratch},
          std::pair{"forward without a frame", inference.forward_scratch}}) {
      check(taken <= promised.scratch, "{} takes {} bytes of scratch; footprint() says {} ({})",
            pass, taken, promised.scratch, spec.text());
    }
  }
  return {};
}

}  // namespace arena
