#pragma once
// Shrinking 8-bit images with a Lanczos filter of three lobes in fixed point: Pillow's, to the
// byte.

#include "tasks/pathfinder/byte_image.hpp"

namespace arena {

/// Which inputs an output pixel reads, and with what weights.
struct LanczosTaps {
  Index first = 0;
  std::vector<std::int32_t> weights{};
};

/// One axis, from `in` pixels to `out`.
class LanczosAxis {
 public:
  LanczosAxis(Index in, Index out);

  Index out() const { return static_cast<Index>(taps_.size()); }
  /// Outputs first .. first + count - 1 of each row, as column y of the result [count, rows]: used
  /// twice, it shrinks both ways. The image holds inputs offset .. offset + cols - 1 of a row; the
  /// others are 0.
  ByteImage shrink_rows(const ByteImage& image, Index offset, Index first, Index count) const;

 private:
  std::vector<LanczosTaps> taps_{};
};

}  // namespace arena
