#pragma once
// Which keys each query sees, asked tile by tile, so that an engine visits only what is covered.

#include "variants/attention.hpp"

namespace arena {

/// [begin, end)
struct Range {
  Index begin = 0;
  Index end = 0;

  Index size() const { return end - begin; }
  bool empty() const { return end <= begin; }
};

constexpr Range intersection(Range a, Range b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

enum class Cover { kNone, kSome, kAll };

/// Scores of a tile: that of (query, key) is data[(query - first) * query_stride + (key - first) *
/// key_stride]; one stride is 1, and along it the tile is padded to whole vectors.
struct ScoreTile {
  float* data;
  Index query_stride;
  Index key_stride;
};

/// Ranges given to these functions are not empty and lie within the lengths.
class TileMask {
 public:
  virtual ~TileMask() = default;
  /// A part of `within`, the smaller the better, outside which no query of `queries` sees a key of
  /// it; and the transpose.
  virtual Range keys_of(Range queries, Range within) const = 0;
  virtual Range queries_of(Range keys, Range within) const = 0;
  /// Whether none, some or all of the pairs of a tile are seen; kSome is always a right answer.
  virtual Cover cover(Range queries, Range keys) const = 0;
  /// Writes minus infinity to the scores of the tile's pairs that are not seen.
  virtual void hide(Range queries, Range keys, ScoreTile scores) const = 0;
};

/// Query i, standing at key position p = i + key_len - query_len, sees the keys p - before ..
/// p + after. One of them may be negative: then it does not see its own position.
class BandMask final : public TileMask {
 public:
  BandMask(const Extents& extents, Index before, Index after);
  static BandMask full(const Extents& extents);
  static BandMask causal(const Extents& extents);

  Range keys_of(Range queries, Range within) const override;
  Range queries_of(Range keys, Range within) const override;
  Cover cover(Range queries, Range keys) const override;
  void hide(Range queries, Range keys, ScoreTile scores) const override;
  bool sees(Index query, Index key) const;
  /// Number of (query, key) pairs that are seen.
  Index covered() const;

 private:
  Range visible(Index query) const;

  Extents extents_;
  Index before_;
  Index after_;
};

}  // namespace arena
