#pragma once
// What the checks run: one head of a variant at some lengths, with values drawn for it.

#include <optional>
#include <utility>

#include "harness/conformance/oracle.hpp"
#include "harness/conformance/subject.hpp"
#include "harness/model/make.hpp"

namespace arena {

/// Beyond the first block of keys, tile of queries and chunk of any engine: later ones do more.
constexpr Index kLongLen = 300;
/// Larger than every length below, so that parameters which depend on it are used in part.
constexpr Index kMaxLen = 320;

struct CaseSpec {
  Extents extents;
  Index head_dim = 20;  // no multiple of any vector
  bool causal = false;
  Index max_len = kMaxLen;

  std::string text() const;  // "33 queries, 7 keys, head_dim 20, causal"
};

/// What variants that attend along edges get: random ones of which some are self-loops, in rows of
/// one key to twice kCheckDegree; every fifth row has no key, the last and every 64th have all.
constexpr Index kCheckDegree = 32;
Edges check_edges(const Extents& extents);

/// Throws what making the head throws. `subject` adds `edges` to the calls it gets.
struct HeadCase {
  CaseSpec spec;
  Problem problem;
  Edges edges;  // where the variant wants them
  std::unique_ptr<AttentionHead> head;
  HeadSubject subject;
  Example example;

  HeadCase(const ChosenVariant& chosen, const CaseSpec& case_spec);
  HeadInputs inputs() const { return inputs_of(example); }
  static HeadInputs inputs_of(const Example& example);
  /// The call with the edges.
  Call with_edges(const Call& call) const { return subject.with_edges(call); }
};

/// The call of all checks, on `team`.
Call check_call(const Team& team);
/// The same call with the plan of an earlier one, which must outlive it.
Call frozen(Call call, const Plan& plan);

/// Lengths 1, 2 and around multiples of any block; unequal ones too where `cross` is claimed.
std::vector<Extents> usual_extents(const Variant& variant);
/// false, and true where `causal` is claimed.
std::vector<bool> causal_modes(const Variant& variant);
/// usual_extents x head_dim 8, 20, 32, 64 x causal_modes, and kLongLen with head_dim 20.
std::vector<CaseSpec> usual_cases(const Variant& variant);
/// A few of them, for checks that cost more: equal lengths 7, 33, 100, kLongLen and (cross)
/// 33 x 100, 100 x 33; head_dim 20.
std::vector<CaseSpec> few_cases(const Variant& variant);

/// `tolerance`, which is meant for float, plus what the arithmetic of `chosen` may err when
/// `rounded` roundings of operands add up.
double widened(double tolerance, const ChosenVariant& chosen, double rounded);

/// `chosen` with some options replaced; throws Error as Options does.
ChosenVariant with_options(const ChosenVariant& chosen, const OptionTexts& texts);

/// The message of the Error that `action` throws and its kind; nothing if it throws none. The one
/// place of the suite that catches: some claims are that an Error is thrown.
struct Thrown {
  std::string message;
  Failure failure;
};
std::optional<Thrown> error_of(const std::function<void()>& action);

}  // namespace arena
