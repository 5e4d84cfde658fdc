#pragma once
// The suite that holds a variant to its claims: run by tests/variants_test, `arena check` and, for
// the comparison before timing, `arena bench`.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "harness/model/make.hpp"

namespace arena {

/// What a check found, short of a broken claim (which it throws as an Error).
struct Verdict {
  bool skipped = false;
  std::string detail;  // figures; for a skipped check the reason
};

struct Check {
  std::string name;
  std::string summary;  // one line
  std::function<Verdict(const ChosenVariant&)> body;
};

struct CheckResult {
  std::string name;
  bool passed = false;   // a skipped check has not passed
  bool skipped = false;  // the variant does not claim this
  std::string detail;    // figures, the reason for skipping, or what is broken
};

/// All checks, in the order in which they are run.
std::span<const Check> all_checks();
std::vector<std::string> check_names();
/// Throws Error naming the nearest.
const Check& find_check(const std::string& name);

/// Runs one check; an Error that it throws is its failure.
CheckResult run_check(const Check& check, const ChosenVariant& chosen);

}  // namespace arena
