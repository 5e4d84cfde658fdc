#pragma once
// Text of outside files: what of it is fit to be used or shown.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace arena {

/// `text` as one line of an error message can show it: at most 40 characters, in quotes, anything
/// that is not printable ASCII as \xNN.
std::string shown(std::string_view text);

/// `text` without white space (of ASCII) at both ends.
std::string_view stripped(std::string_view text);

/// The first `max_len` bytes as tokens 0 to 255.
std::vector<std::int32_t> byte_tokens(std::string_view text, std::size_t max_len);

/// The beginning of a text that is given as bytes, as one line for a person: "It was ... <br />".
std::string excerpt(std::span<const std::int32_t> bytes);

/// Throws Error beginning with `where` and naming the first byte that is not UTF-8 (RFC 3629: no
/// overlong forms, no surrogates, nothing above U+10FFFF, no cut character at the end).
void check_utf8(std::string_view text, const std::string& where);

}  // namespace arena
