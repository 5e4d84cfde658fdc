#pragma once
// From a registry entry to an object of the level that is asked for.

#include <memory>

#include "variants/attention.hpp"

namespace arena {

/// "linformer[rank=64]" resolved against the registry.
struct ChosenVariant {
  const Variant& variant;
  Options options;

  /// The name with the options that differ from their defaults.
  std::string label() const { return variant.name + options.difference(variant.options); }
};

/// Throws Error on an unknown name (naming the nearest) or a bad option.
ChosenVariant choose_variant(const std::string& text);

/// Throws Failure::kUnsupported where the variant has no head form or does not claim causal.
std::unique_ptr<AttentionHead> make_head(const Variant& variant, const Setup& setup,
                                         const Options& options);

}  // namespace arena
