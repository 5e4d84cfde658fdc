#include "harness/model/make.hpp"

#include "harness/model/multi_head.hpp"

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

std::unique_ptr<AttentionLayer> make_layer(const Variant& variant, const Setup& setup,
                                           const Options& options) {
  require_claims(variant, setup);
  if (variant.make_layer) return variant.make_layer(setup, options);
  if (!variant.make_head) {
    throw Error(fmt::format("{} has no form of a single layer", variant.name),
                Failure::kUnsupported);
  }
  return make_multi_head(variant.make_head(setup, options), setup);
}

std::unique_ptr<Encoder> make_encoder(const Variant& variant, const Setup& setup,
                                      const Options& options, const BlockSettings& settings) {
  require_claims(variant, setup);
  if (variant.make_encoder) return variant.make_encoder(setup, options);
  return make_block(make_layer(variant, setup, options), setup, settings);
}

}  // namespace arena
