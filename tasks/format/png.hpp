#pragma once
// PNG files of the kind that data sets hold: 8-bit gray.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "harness/core/matrix.hpp"

namespace arena {

/// Writes the pixels of a whole PNG file, row by row, into `pixels` [side, side]. Throws Error
/// beginning with `where` unless it is a sound 8-bit gray image of this size.
void read_gray_png(std::string_view file, const std::string& where, Index side,
                   std::span<std::uint8_t> pixels);

/// A whole PNG file of these pixels [side, side].
std::string write_gray_png(Index side, std::span<const std::uint8_t> pixels);

}  // namespace arena
