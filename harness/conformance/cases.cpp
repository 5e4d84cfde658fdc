#include "harness/conformance/cases.hpp"

#include <fmt/format.h>

namespace arena {
namespace {

constexpr std::uint64_t kSeed = 20260101;

RandomKey check_key() {
  return RandomKey(kSeed).fold(Purpose::kTest);
}

Problem make_problem(const ChosenVariant& chosen, const CaseSpec& spec) {
  return {.setup = {.num_heads = 1,
                    .head_dim = spec.head_dim,
                    .model_dim = spec.head_dim,
                    .max_len = std::max(spec.max_len, spec.extents.key_len),
                    .causal = spec.causal},
          .options = chosen.options,
          .extents = spec.extents};
}

}  // namespace

std::string CaseSpec::text() const {
  return fmt::format("{} queries, {} keys, head_dim {}{}", extents.query_len, extents.key_len,
                     head_dim, causal ? ", causal" : "");
}

HeadCase::HeadCase(const ChosenVariant& chosen, const CaseSpec& case_spec)
    : spec(case_spec),
      problem(make_problem(chosen, spec)),
      edges(chosen.variant.claims.edges ? check_edges(spec.extents) : Edges{}),
      head(make_head(chosen.variant, problem.setup, problem.options)),
      subject(*head, spec.extents, spec.head_dim, chosen.variant.claims.log_sum_exp,
              chosen.variant.claims.edges ? &edges : nullptr),
      example(subject, check_key().fold(spec.text())) {
  problem.edges = edges.count();
}

HeadInputs HeadCase::inputs_of(const Example& example) {
  return head_matrices<ConstView>(
      [&](Index slot) -> ConstView { return example.inputs[static_cast<std::size_t>(slot)]; });
}

Call frozen(Call call, const Plan& plan) {
  call.plan = plan.empty() ? nullptr : &plan;
  return call;
}

Edges check_edges(const Extents& extents) {
  std::vector<std::pair<Index, Index>> pairs;
  const RandomKey key = check_key().fold("edges");
  for (Index i = 0; i < extents.query_len; ++i) {
    RandomStream stream(key.fold(static_cast<std::uint64_t>(i)));
    const std::vector<Index> order = stream.permutation(extents.key_len);
    const bool all = i % 64 == 2 || i + 1 == extents.query_len, none = i % 5 == 4;
    const Index wanted = all ? extents.key_len : none ? 0 : 1 + stream.below(2 * kCheckDegree);
    for (Index e = 0; e < std::min(wanted, extents.key_len); ++e) {
      pairs.emplace_back(i, order[static_cast<std::size_t>(e)]);
    }
  }
  return make_edges(extents.query_len, extents.key_len, pairs);
}

Call check_call(const Team& team) {
  return {.team = team, .key = check_key().fold(Purpose::kAttention)};
}

std::vector<Extents> usual_extents(const Variant& variant) {
  std::vector<Extents> extents{{1, 1}, {2, 2}, {7, 7}, {31, 31}, {32, 32}, {33, 33}, {100, 100}};
  if (variant.claims.cross) {
    extents.insert(extents.end(), {{1, 33}, {33, 1}, {7, 100}, {100, 31}, {32, 33}});
  }
  return extents;
}

std::vector<bool> causal_modes(const Variant& variant) {
  return variant.claims.causal ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

std::vector<CaseSpec> usual_cases(const Variant& variant) {
  std::vector<CaseSpec> cases;
  for (const bool causal : causal_modes(variant)) {
    for (const Extents& extents : usual_extents(variant)) {
      for (const Index head_dim : {8, 20, 32, 64}) cases.push_back({extents, head_dim, causal});
    }
    cases.push_back({.extents = {kLongLen, kLongLen}, .causal = causal});
  }
  return cases;
}

std::vector<CaseSpec> few_cases(const Variant& variant) {
  std::vector<CaseSpec> cases;
  for (const bool causal : causal_modes(variant)) {
    for (const Index length : {Index{7}, Index{33}, Index{100}, kLongLen}) {
      cases.push_back({.extents = {length, length}, .causal = causal});
    }
    if (!variant.claims.cross) continue;
    cases.push_back({.extents = {33, 100}, .causal = causal});
    cases.push_back({.extents = {100, 33}, .causal = causal});
  }
  return cases;
}

double widened(double tolerance, const ChosenVariant& chosen, double rounded) {
  return tolerance + rounded * chosen.variant.arithmetic_of(chosen.options).rounding;
}

ChosenVariant with_options(const ChosenVariant& chosen, const OptionTexts& texts) {
  OptionTexts all = texts;
  for (const auto& [name, value] : chosen.options.values()) all.emplace(name, option_text(value));
  return {chosen.variant, Options(chosen.variant.name, chosen.variant.options, all)};
}

std::optional<Thrown> error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return Thrown{error.what(), error.failure()};
  }
  return std::nullopt;
}

}  // namespace arena
