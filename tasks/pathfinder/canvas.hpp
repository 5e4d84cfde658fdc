#pragma once
// The canvases on which contours grow: lines drawn so far, and the mask of places that are taken.

#include <array>
#include <optional>
#include <span>

#include "harness/core/random.hpp"
#include "tasks/pathfinder/byte_image.hpp"

namespace arena {

/// A square of bytes with a border of zeros, so that a look beyond the edge finds nothing.
class Canvas {
 public:
  static constexpr Index kBorder = 4;
  explicit Canvas(Index side) : side_(side), image_(side + 2 * kBorder, side + 2 * kBorder) {}

  Index side() const { return side_; }
  bool contains(PixelAt p) const { return p.y >= 0 && p.y < side_ && p.x >= 0 && p.x < side_; }
  const std::uint8_t* row(Index y) const { return image_.row(y + kBorder) + kBorder; }
  std::uint8_t* row(Index y) { return image_.row(y + kBorder) + kBorder; }
  std::uint8_t at(PixelAt p) const { return row(p.y)[p.x]; }

  void clear();
  /// Sets the outermost `width` pixels to 255.
  void frame(Index width);
  /// The larger of what is there and the patch, whose middle comes to `centre`.
  void stamp(const ByteImage& patch, PixelAt centre);
  /// Whether the sum of canvas and patch stays below `limit` everywhere.
  bool fits(const ByteImage& patch, PixelAt centre, int limit) const;

 private:
  Index side_;
  ByteImage image_;
};

/// One bit for each pixel of a canvas, at most 256 x 256.
class PixelSet {
 public:
  /// Pixels whose byte is more than `limit`, below 128.
  PixelSet(const Canvas& canvas, std::uint8_t limit);

  void add_frame(Index width);
  /// Adds the pixels from which one of these steps leads into `other`.
  void add_reaching(const PixelSet& other, std::span<const PixelAt> steps);
  Index count_outside() const;
  /// A uniform choice of the pixels that are not in the set; nullopt where all are.
  std::optional<PixelAt> draw_outside(RandomStream& stream) const;

  /// No pixels, of a canvas of this side.
  explicit PixelSet(Index side)
      : side_(side), words_((side + 63) / 64), rows_(static_cast<std::size_t>(side)) {}

 private:
  static constexpr Index kMostWords = 4;
  using Row = std::array<std::uint64_t, kMostWords + 2>;  // with an empty word at either end

  std::uint64_t outside(Index y, Index word) const;

  Index side_, words_;
  std::vector<Row> rows_;
};

}  // namespace arena
