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

/// Throws Error unless both lengths are at least 1.
void check_lengths(const Extents& extents);
/// Throws Error on a length of 0 and on more keys than setup.max_len; Failure::kUnsupported on
/// unequal lengths where the variant does not claim cross.
void check_extents(const Variant& variant, const Setup& setup, const Extents& extents);

}  // namespace arena
