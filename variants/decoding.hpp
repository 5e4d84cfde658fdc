#pragma once
// What limits some causal variants in writing a sequence token by token.

#include <functional>
#include <string>

#include "harness/core/options.hpp"
#include "harness/core/registry.hpp"

namespace arena {

/// A registry entry beside a causal variant's own: only up to some length a prefix, read alone,
/// gives what it gives within the whole sequence. Variants without an entry have no limit.
struct DecodingLimit {
  static constexpr const char* kKind = "decoding limit";

  std::string name;                              // the variant's
  std::function<Index(const Options&)> longest;  // in tokens, the end mark included
  std::string reason;
};

}  // namespace arena
