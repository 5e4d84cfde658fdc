#pragma once
// Texts that several commands read the same way.

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/options.hpp"

namespace arena {

/// "" gives an empty list.
std::vector<std::string> parse_list(const std::string& text);
/// "0,1,2". Throws Error.
std::vector<std::uint64_t> parse_seeds(const std::string& text);
/// "1500000", "512M", "2G" (powers of 1024). Throws Error.
Index parse_bytes(const std::string& text);

/// Options in rows: name, default, range, help.
std::string options_text(std::span<const OptionSpec> specs);

}  // namespace arena
