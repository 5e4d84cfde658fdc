#pragma once
// FNV-1a, 64 bits: stable names for content (cells, samples, data sets). Not for adversaries.

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace arena {

constexpr std::uint64_t kFnvStart = 0xCBF29CE484222325;

constexpr std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = kFnvStart) {
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  }
  return hash;
}

/// Hash of the bytes of `values`, continuing from `hash`.
template <class T>
std::uint64_t fnv1a(std::span<const T> values, std::uint64_t hash = kFnvStart) {
  static_assert(std::is_trivially_copyable_v<T>);
  return fnv1a(std::string_view(reinterpret_cast<const char*>(values.data()), values.size_bytes()),
               hash);
}

}  // namespace arena
