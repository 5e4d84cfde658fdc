#include "harness/conformance/conformance.hpp"

#include <algorithm>
#include <array>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"

namespace arena {

std::span<const Check> all_checks() {
  static const std::array checks{
      Check{"claims", "says what it is and what it must equal", check_claims},
      Check{"oracle", "equals its pattern, reference or exact attention", check_oracle},
      Check{"exact_cases", "equals exact attention in the settings it names", check_exact_cases},
      Check{"estimators", "its mean over keys is its expectation", check_estimators},
      Check{"oracle_gradients", "backward is the oracle's gradient", check_oracle_gradients},
      Check{"gradients", "backward is its own forward's gradient", check_own_gradients},
      Check{"accumulation", "backward adds to gradients, overwrites d_in", check_accumulation},
      Check{"lengths", "writes all, finite, at every length and width", check_lengths_run},
      Check{"empty", "refuses a sequence of length 0", check_empty_refused},
      Check{"causal", "no earlier row sees a later key", check_causal},
      Check{"causal_refused", "refuses causal where it is not", check_causal_refused},
      Check{"convex", "constant values come back", check_convex},
      Check{"equivariant", "the order of keys changes nothing", check_equivariant},
      Check{"stream", "segments with a state give what one call gives", check_stream},
      Check{"extreme_logits", "logits of 1e4 stay finite", check_extreme_logits},
      Check{"non_finite", "a NaN reaches what its formula says, and is seen", check_non_finite},
      Check{"magnitudes", "huge inputs stay finite, denormal ones are numbers", check_magnitudes},
      Check{"sentinels", "writes nothing around its outputs", check_sentinels},
      Check{"beyond_views", "reads nothing around its inputs", check_beyond_views},
      Check{"used_workspace", "same bits in a workspace full of NaN", check_used_workspace},
      Check{"frameless", "same bits with and without a frame", check_frameless},
      Check{"footprint", "frame and scratch stay within footprint()", check_footprint},
      Check{"threads", "same bits for 1, 2 and 3 workers", check_threads},
      Check{"allocations", "asks the system for nothing after the first step", check_allocations},
      Check{"analytic_bytes", "the closed formula of bytes holds", check_analytic_bytes},
      Check{"flops", "the closed formula of flops counts its pairs", check_flops},
      Check{"options", "each option works at its ends", check_option_values},
      Check{"option_errors", "bad options are Errors that name them", check_option_errors},
  };
  return checks;
}

std::vector<std::string> check_names() {
  std::vector<std::string> names;
  for (const Check& check : all_checks()) names.push_back(check.name);
  return names;
}

const Check& find_check(const std::string& name) {
  const auto found = std::ranges::find(all_checks(), name, &Check::name);
  if (found == all_checks().end()) throw Error(unknown_name("check", name, check_names()));
  return *found;
}

CheckResult run_check(const Check& check, const ChosenVariant& chosen) {
  const Arithmetic arithmetic = chosen.variant.arithmetic_of(chosen.options);
  if (!arithmetic.missing.empty()) {
    return {check.name, false, true,
            fmt::format("{} needs {}", arithmetic.precision, arithmetic.missing)};
  }
  Verdict verdict;
  const auto broken = error_of([&] { verdict = check.body(chosen); });
  if (broken) return {check.name, false, false, broken->message};
  return {check.name, !verdict.skipped, verdict.skipped, verdict.detail};
}

}  // namespace arena
