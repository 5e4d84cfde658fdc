#include "harness/model/make.hpp"

namespace arena {
namespace {

void require_claims(const Variant& variant, const Setup& setup) {
  if (setup.causal && !variant.claims.causal) {
    throw Error(fmt::format("{} is not causal", variant.name), Failure::kUnsupported);
  }
}

}  // namespace

ChosenVariant choose_variant(const std::string& text) {
  const NamedOptions named = parse_named(text);
  const Variant& variant = Registry<Variant>::find(named.name);
  return {variant, Options(variant.name, variant.options, named.options)};
}

std::unique_ptr<AttentionHead> make_head(const Variant& variant, const Setup& setup,
                                         const Options& options) {
  require_claims(variant, setup);
  if (!variant.make_head) {
    throw Error(fmt::format("{} has no single-head form", variant.name), Failure::kUnsupported);
  }
  return variant.make_head(setup, options);
}

}  // namespace arena
