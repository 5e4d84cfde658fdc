#pragma once
// 8-bit images, small or whole, and places on them.

#include <cstdint>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

struct PixelAt {
  Index y = 0, x = 0;
  bool operator==(const PixelAt&) const = default;
  /// Reading order.
  bool operator<(const PixelAt& other) const { return y != other.y ? y < other.y : x < other.x; }
};

/// Bytes [rows, cols], row-major, at first 0.
class ByteImage {
 public:
  ByteImage() = default;
  ByteImage(Index rows, Index cols)
      : rows_(rows), cols_(cols), bytes_(static_cast<std::size_t>(rows * cols)) {}

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  bool contains(PixelAt p) const { return p.y >= 0 && p.y < rows_ && p.x >= 0 && p.x < cols_; }
  const std::uint8_t* row(Index y) const { return bytes_.data() + y * cols_; }
  std::uint8_t* row(Index y) { return bytes_.data() + y * cols_; }
  std::uint8_t at(PixelAt p) const { return row(p.y)[p.x]; }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  Index rows_ = 0, cols_ = 0;
  std::vector<std::uint8_t> bytes_{};
};

}  // namespace arena
