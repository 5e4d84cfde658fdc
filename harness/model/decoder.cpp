#include "harness/model/decoder.hpp"

namespace arena {
namespace {

/// Throws Failure::kUnsupported unless sequences of up to so many tokens can be written.
void check_can_write(const Variant& variant, const Options& options, Index longest) {
  if (!variant.can_decode()) {
    throw Error(fmt::format("{} cannot write a sequence token by token", variant.name),
                Failure::kUnsupported);
  }
  const auto& [limit, reason] = variant.decoding_limit;
  if (!limit || longest <= limit(options)) return;
  throw Error(fmt::format("{} can write {} tokens one by one, the end mark included, not {}: {}",
                          variant.name, limit(options), longest, reason),
              Failure::kUnsupported);
}

}  // namespace

const Variant& cross_variant(const Variant& variant) {
  return variant.claims.cross ? variant : Registry<Variant>::find("blocked");
}

std::unique_ptr<Encoder> make_decoder(const Variant& variant, const Setup& setup,
                                      const Options& options, const BlockSettings& settings) {
  Setup causal = setup;
  causal.causal = true;
  ++causal.max_len;
  auto attention = make_layer(variant, causal, options);
  check_can_write(variant, options, causal.max_len);
  const Variant& across = cross_variant(variant);
  const Options across_options =
      &across == &variant ? options : Options(across.name, across.options, {});
  return make_decoder_block(std::move(attention), make_layer(across, setup, across_options), setup,
                            settings);
}

}  // namespace arena
