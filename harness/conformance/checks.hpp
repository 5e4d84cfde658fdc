#pragma once
// The bodies of the checks, listed with their names in conformance.cpp. Each throws Error where the
// variant breaks the claim.

#include "harness/conformance/conformance.hpp"

namespace arena {

// check_values.cpp
Verdict check_claims(const ChosenVariant& chosen);
Verdict check_oracle(const ChosenVariant& chosen);
Verdict check_exact_cases(const ChosenVariant& chosen);
Verdict check_estimators(const ChosenVariant& chosen);
// check_gradients.cpp
Verdict check_oracle_gradients(const ChosenVariant& chosen);
Verdict check_own_gradients(const ChosenVariant& chosen);
Verdict check_accumulation(const ChosenVariant& chosen);
// check_properties.cpp
Verdict check_lengths_run(const ChosenVariant& chosen);
Verdict check_empty_refused(const ChosenVariant& chosen);
Verdict check_causal(const ChosenVariant& chosen);
Verdict check_causal_refused(const ChosenVariant& chosen);
Verdict check_convex(const ChosenVariant& chosen);
Verdict check_equivariant(const ChosenVariant& chosen);
Verdict check_extreme_logits(const ChosenVariant& chosen);
// check_numbers.cpp
Verdict check_non_finite(const ChosenVariant& chosen);
Verdict check_magnitudes(const ChosenVariant& chosen);
// check_stream.cpp
Verdict check_stream(const ChosenVariant& chosen);
// check_memory.cpp
Verdict check_sentinels(const ChosenVariant& chosen);
Verdict check_beyond_views(const ChosenVariant& chosen);
Verdict check_used_workspace(const ChosenVariant& chosen);
Verdict check_frameless(const ChosenVariant& chosen);
Verdict check_footprint(const ChosenVariant& chosen);
// check_heads.cpp: all heads on a team
Verdict check_threads(const ChosenVariant& chosen);
Verdict check_allocations(const ChosenVariant& chosen);
Verdict check_analytic_bytes(const ChosenVariant& chosen);
Verdict check_flops(const ChosenVariant& chosen);
// check_options.cpp
Verdict check_option_values(const ChosenVariant& chosen);
Verdict check_option_errors(const ChosenVariant& chosen);

}  // namespace arena
