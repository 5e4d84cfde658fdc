#include "tasks/format/text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr std::size_t kLongestShown = 40;

unsigned byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

/// Bytes of the well-formed character at the front of `text`, 0 where there is none. The second
/// byte has a range of its own behind some first ones; all later ones are 80..BF.
std::size_t character_bytes(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return 1;
  const std::size_t count = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (count == 0 || first > 0xF4 || text.size() < count) return 0;
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte_at(text, 1) < low || byte_at(text, 1) > high) return 0;
  for (std::size_t i = 2; i < count; ++i) {
    if (byte_at(text, i) < 0x80 || byte_at(text, i) > 0xBF) return 0;
  }
  return count;
}

}  // namespace

std::string shown(std::string_view text) {
  std::string result = "'";
  for (const char c : text.substr(0, kLongestShown)) {
    if (c >= ' ' && c <= '~') {
      result += c;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return result + (text.size() > kLongestShown ? "...'" : "'");
}

std::string_view stripped(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\v\f";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::int32_t> byte_tokens(std::string_view text, std::size_t max_len) {
  const std::string_view kept = text.substr(0, max_len);
  std::vector<std::int32_t> tokens(kept.size());
  std::ranges::transform(kept, tokens.begin(),
                         [](char c) { return static_cast<unsigned char>(c); });
  return tokens;
}

std::string excerpt(std::span<const std::int32_t> bytes) {
  constexpr std::size_t kFewLines = 400;
  std::string text;
  for (const std::int32_t byte : bytes.first(std::min(bytes.size(), kFewLines))) {
    text += byte < ' ' || byte == 0x7F ? ' ' : static_cast<char>(byte);
  }
  if (bytes.size() <= kFewLines) return text;
  while (!text.empty() && (byte_at(text, text.size() - 1) & 0xC0U) == 0x80U) text.pop_back();
  if (!text.empty() && byte_at(text, text.size() - 1) >= 0xC0U) text.pop_back();
  return text + fmt::format(" ... ({} bytes)", bytes.size());
}

void check_utf8(std::string_view text, const std::string& where) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = character_bytes(text.substr(at));
    if (bytes == 0) {
      fail("{}: byte {} is not UTF-8: {}", where, at + 1, shown(text.substr(at, 4)));
    }
    at += bytes;
  }
}

}  // namespace arena
