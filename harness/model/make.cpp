#include "harness/model/make.hpp"

#include <algorithm>

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

void check_lengths(const Extents& extents) {
  check(extents.query_len >= 1 && extents.key_len >= 1,
        "a sequence of length {} has nothing to attend to: lengths are at least 1",
        std::min(extents.query_len, extents.key_len));
}

void check_extents(const Variant& variant, const Setup& setup, const Extents& extents) {
  check_lengths(extents);
  check(extents.key_len <= setup.max_len, "{}: a sequence of length {} is longer than max_len {}",
        variant.name, extents.key_len, setup.max_len);
  if (extents.query_len != extents.key_len && !variant.claims.cross) {
    throw Error(fmt::format("{} has no cross attention: {} queries, {} keys", variant.name,
                            extents.query_len, extents.key_len),
                Failure::kUnsupported);
  }
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
