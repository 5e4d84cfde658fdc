// Checks of options: the ends of their ranges work, what lies outside is refused by name.

#include <algorithm>

#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"

namespace arena {
namespace {

/// What one case may take; an option's high end may ask for more at the usual lengths.
constexpr double kMostBytes = 64 << 20;
/// Tried in turn until a case fits into kMostBytes.
constexpr std::array<Index, 3> kOptionLengths{33, 8, 1};

std::vector<std::string> values_to_try(const OptionSpec& spec) {
  if (std::holds_alternative<bool>(spec.fallback)) return {"true", "false"};
  if (std::holds_alternative<std::string>(spec.fallback)) {
    return spec.choices.empty() ? std::vector{option_text(spec.fallback)} : spec.choices;
  }
  const bool whole = std::holds_alternative<Index>(spec.fallback);
  const auto text = [&](double x) {
    return whole ? option_text(static_cast<Index>(x)) : option_text(x);
  };
  return {text(spec.low), option_text(spec.fallback), text(spec.high)};
}

std::vector<std::string> values_to_refuse(const OptionSpec& spec) {
  if (std::holds_alternative<bool>(spec.fallback)) return {"maybe", ""};
  if (std::holds_alternative<std::string>(spec.fallback)) {
    return spec.choices.empty() ? std::vector<std::string>{} : std::vector<std::string>{"no-such"};
  }
  const bool whole = std::holds_alternative<Index>(spec.fallback);
  const auto text = [&](double x) {
    return whole ? option_text(static_cast<Index>(x)) : option_text(x);
  };
  return {text(spec.low - 1), text(spec.high + 1), "many", ""};
}

double parameter_bytes(const AttentionHead& head) {
  double floats = 0;
  for (const ParameterSpec& spec : head.parameters()) {
    floats += static_cast<double>(spec.rows) * static_cast<double>(spec.cols);
  }
  return 4 * floats;
}

/// The longest of kOptionLengths at which the head takes at most kMostBytes; 0 if none.
Index affordable_length(const ChosenVariant& chosen, Call call) {
  for (const Index length : kOptionLengths) {
    const Setup setup{.head_dim = 8, .model_dim = 8, .max_len = length};
    const auto head = make_head(chosen.variant, setup, chosen.options);
    const Edges edges = check_edges({length, length});
    if (chosen.variant.claims.edges) call.edges = &edges;
    const Footprint footprint = head->footprint({length, length}, call);
    const auto scratch = static_cast<double>(footprint.frame + footprint.scratch);
    if (parameter_bytes(*head) + scratch <= kMostBytes) return length;
  }
  return 0;
}

void run_with(const ChosenVariant& chosen, const Call& call, const std::string& text) {
  const Index length = affordable_length(chosen, call);
  check(length > 0, "{} takes over {:.0f} bytes even at length {}", text, kMostBytes,
        kOptionLengths.back());
  const HeadCase head_case(chosen, {.extents = {length, length}, .head_dim = 8, .max_len = length});
  const Outcome outcome = run(head_case.subject, head_case.example, call);
  const std::string bad = not_finite(head_case.subject, outcome);
  check(bad.empty(), "{}: {} ({})", text, bad, head_case.spec.text());
}

/// A high end may be too much for a short sequence: then making the head must say so by its name.
bool refused_when_made(const ChosenVariant& chosen, const std::string& option,
                       const std::string& value) {
  const Setup setup{.head_dim = 8, .model_dim = 8, .max_len = kOptionLengths.front()};
  const ChosenVariant with = with_options(chosen, {{option, value}});
  const auto error = error_of([&] { make_head(with.variant, setup, with.options); });
  return error && error->message.find(option) != std::string::npos;
}

/// The Error must name the option, and for a bad value show it.
void check_refused(const ChosenVariant& chosen, const std::string& option,
                   const std::string& value) {
  const auto error = error_of([&] { with_options(chosen, {{option, value}}); });
  check(error.has_value(), "option {}='{}' is not refused", option, value);
  check(error->message.find(option) != std::string::npos,
        "refusing option {}='{}' does not name it: {}", option, value, error->message);
}

}  // namespace

Verdict check_option_values(const ChosenVariant& chosen) {
  if (chosen.variant.options.empty()) return {true, "has no options"};
  Workers workers(1);
  const Call call = check_call(workers.team());
  Index count = 0;
  for (const OptionSpec& spec : chosen.variant.options) {
    const std::vector<std::string> values = values_to_try(spec);
    for (const std::string& value : values) {
      const ChosenVariant with = with_options(chosen, {{spec.name, value}});
      if (!with.variant.arithmetic_of(with.options).missing.empty()) continue;
      const std::string text = fmt::format("option {}={}", spec.name, value);
      const auto error = error_of([&] { run_with(with, call, text); });
      const bool refused_by_name =
          value == values.back() && error && refused_when_made(chosen, spec.name, value);
      check(!error || refused_by_name, "{} does not work: {}", text, error ? error->message : "");
      ++count;
    }
  }
  return {.detail = fmt::format("{} values", count)};
}

Verdict check_option_errors(const ChosenVariant& chosen) {
  check_refused(chosen, "no_such_option", "1");
  for (const OptionSpec& spec : chosen.variant.options) {
    for (const std::string& value : values_to_refuse(spec)) check_refused(chosen, spec.name, value);
  }
  return {};
}

}  // namespace arena
