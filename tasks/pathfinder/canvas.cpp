#include "tasks/pathfinder/canvas.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace arena {
namespace {

/// The part of a patch that lies on a canvas: rows and columns of the patch.
struct Overlap {
  PixelAt begin, end;
  PixelAt shift;  // from patch to canvas
};

Overlap overlap_of(const ByteImage& patch, PixelAt centre, Index side) {
  const PixelAt shift{centre.y - patch.rows() / 2, centre.x - patch.cols() / 2};
  return {.begin = {std::max(Index{0}, -shift.y), std::max(Index{0}, -shift.x)},
          .end = {std::min(patch.rows(), side - shift.y), std::min(patch.cols(), side - shift.x)},
          .shift = shift};
}

/// Bit i is whether byte i of the eight is more than `limit`.
std::uint64_t bits_above(const std::uint8_t* bytes, std::uint8_t limit) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighest = 0x8080808080808080;
  constexpr std::uint64_t kGather = 0x0102040810204080;
  std::uint64_t eight = 0;
  std::memcpy(&eight, bytes, sizeof(eight));
  const std::uint64_t carried = (eight & ~kHighest) + kOnes * (127U - limit);
  return (((carried | eight) & kHighest) >> 7) * kGather >> 56;
}

}  // namespace

void Canvas::clear() {
  for (Index y = 0; y < side_; ++y) std::fill_n(row(y), side_, std::uint8_t{0});
}

void Canvas::frame(Index width) {
  constexpr std::uint8_t kTaken = 255;
  for (Index y = 0; y < side_; ++y) {
    const bool whole = y < width || y >= side_ - width;
    std::fill_n(row(y), whole ? side_ : width, kTaken);
    std::fill_n(row(y) + side_ - width, width, kTaken);
  }
}

void Canvas::stamp(const ByteImage& patch, PixelAt centre) {
  const Overlap part = overlap_of(patch, centre, side_);
  for (Index y = part.begin.y; y < part.end.y; ++y) {
    const std::uint8_t* const from = patch.row(y);
    std::uint8_t* const to = row(y + part.shift.y) + part.shift.x;
    for (Index x = part.begin.x; x < part.end.x; ++x) to[x] = std::max(to[x], from[x]);
  }
}

bool Canvas::fits(const ByteImage& patch, PixelAt centre, int limit) const {
  const Overlap part = overlap_of(patch, centre, side_);
  int most = 0;
  for (Index y = part.begin.y; y < part.end.y; ++y) {
    const std::uint8_t* const added = patch.row(y);
    const std::uint8_t* const present = row(y + part.shift.y) + part.shift.x;
    for (Index x = part.begin.x; x < part.end.x; ++x) most = std::max(most, added[x] + present[x]);
  }
  return most < limit;
}

PixelSet::PixelSet(const Canvas& canvas, std::uint8_t limit) : PixelSet(canvas.side()) {
  static_assert(std::endian::native == std::endian::little);
  for (Index y = 0; y < side_; ++y) {
    Row& bits = rows_[static_cast<std::size_t>(y)];
    for (Index x = 0; x < side_; x += 8) {
      bits[static_cast<std::size_t>(1 + x / 64)] |= bits_above(canvas.row(y) + x, limit)
                                                    << static_cast<unsigned>(x % 64);
    }
  }
}

void PixelSet::add_frame(Index width) {
  const auto at_edge = [&](Index v) { return v < width || v >= side_ - width; };
  Row whole{};
  Row ends{};
  for (Index x = 0; x < side_; ++x) {
    const auto word = static_cast<std::size_t>(1 + x / 64);
    const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(x % 64);
    whole[word] |= bit;
    if (at_edge(x)) ends[word] |= bit;
  }
  for (Index y = 0; y < side_; ++y) {
    const Row& added = at_edge(y) ? whole : ends;
    Row& bits = rows_[static_cast<std::size_t>(y)];
    for (std::size_t w = 1; w <= static_cast<std::size_t>(words_); ++w) bits[w] |= added[w];
  }
}

void PixelSet::add_reaching(const PixelSet& other, std::span<const PixelAt> steps) {
  for (const PixelAt step : steps) {
    const Index end = std::min(side_, side_ - step.y);
    const auto right = static_cast<unsigned>(std::abs(step.x));
    for (Index y = std::max(Index{0}, -step.y); y < end; ++y) {
      Row& bits = rows_[static_cast<std::size_t>(y)];
      const Row& from = other.rows_[static_cast<std::size_t>(y + step.y)];
      for (std::size_t w = 1; w <= static_cast<std::size_t>(words_); ++w) {
        if (step.x == 0) {
          bits[w] |= from[w];
        } else if (step.x > 0) {
          bits[w] |= from[w] >> right | from[w + 1] << (64 - right);
        } else {
          bits[w] |= from[w] << right | from[w - 1] >> (64 - right);
        }
      }
    }
  }
}

std::uint64_t PixelSet::outside(Index y, Index word) const {
  const auto left = static_cast<unsigned>(side_ - 64 * word);  // columns from this word on
  const std::uint64_t valid = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
  return ~rows_[static_cast<std::size_t>(y)][static_cast<std::size_t>(1 + word)] & valid;
}

Index PixelSet::count_outside() const {
  Index count = 0;
  for (Index y = 0; y < side_; ++y) {
    for (Index w = 0; w < words_; ++w) count += std::popcount(outside(y, w));
  }
  return count;
}

std::optional<PixelAt> PixelSet::draw_outside(RandomStream& stream) const {
  const Index count = count_outside();
  if (count == 0) return std::nullopt;
  Index before = stream.below(count);
  for (Index y = 0;; ++y) {
    for (Index w = 0; w < words_; ++w) {
      std::uint64_t bits = outside(y, w);
      if (before >= std::popcount(bits)) {
        before -= std::popcount(bits);
        continue;
      }
      for (; before > 0; --before) bits &= bits - 1;
      return PixelAt{y, 64 * w + std::countr_zero(bits)};
    }
  }
}

}  // namespace arena
