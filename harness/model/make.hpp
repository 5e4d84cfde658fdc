#pragma once
// From a registry entry to an object of the level that is asked for.

#include <memory>

#include "harness/model/block.hpp"
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

/// The variant's layer form, or its heads with projections around them.
std::unique_ptr<AttentionLayer> make_layer(const Variant& variant, const Setup& setup,
                                           const Options& options);

/// The variant's encoder form, or a pre-LayerNorm block around its layer form.
std::unique_ptr<Encoder> make_encoder(const Variant& variant, const Setup& setup,
                                      const Options& options, const BlockSettings& settings);

}  // namespace arena
