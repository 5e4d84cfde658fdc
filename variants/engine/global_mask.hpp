#pragma once
// Tile mask of a sliding window with global positions.

#include "variants/attention.hpp"
#include "variants/engine/tile_mask.hpp"

namespace arena {

/// Positions of a sequence, ascending.
using Positions = std::span<const std::int32_t>;

/// How many global positions a sequence has: those of the call, else the first `first`.
Index count_globals(const Call& call, Index first, Index length);
/// Writes them. Throws Error where one of the call's stands twice or is out of range.
void list_globals(const Call& call, Index length, std::span<std::int32_t> globals);

/// A query sees the keys at most `window` positions away and those of `globals`; a query of
/// `globals` sees none.
class WindowAndGlobals final : public TileMask {
 public:
  WindowAndGlobals(Index length, Index window, Positions globals)
      : window_({length, length}, window, window), globals_(globals) {}

  Range keys_of(Range queries, Range within) const override;
  Range queries_of(Range keys, Range within) const override;
  Cover cover(Range queries, Range keys) const override;
  void hide(Range queries, Range keys, ScoreTile scores) const override;

 private:
  /// The global positions in a range.
  Positions globals_in(Range range) const;
  void hide_columns(Range queries, Range keys, Positions but, ScoreTile scores) const;

  BandMask window_;
  Positions globals_;
};

}  // namespace arena
