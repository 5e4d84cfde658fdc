#pragma once
// Which vectors of lanes of a tile of scores see which of its rows: the edge of a mask crosses
// tiles aslant, and whole vectors beside it need no products.

#include <array>

#include "harness/layers/micro_kernel.hpp"
#include "variants/engine/tile_mask.hpp"

namespace arena {

/// Rows of a tile that the same vectors of lanes see.
struct Section {
  Range rows;
  int first;  // of the vectors
  int vectors;

  /// The lanes, where those of the tile are `all`.
  Range lanes(Range all) const {
    return {all.begin + first * simd::kWidth,
            std::min(all.begin + (first + vectors) * simd::kWidth, all.end)};
  }
};

/// The sections of a tile of at most kMost rows, ascending.
class Sections {
 public:
  static constexpr Index kMost = 128;
  static constexpr Index kUnit = kMostRows;  // rows that are not told apart

  /// lanes_of(rows) is a range of `lanes` outside which none sees any of these rows.
  template <class LanesOf>
  void set(Range rows, Range lanes, Cover cover, const LanesOf& lanes_of) {
    count_ = 0;
    if (cover == Cover::kAll) {
      add(rows, lanes, lanes);
      return;
    }
    for (Index r = rows.begin; r < rows.end; r += kUnit) {
      const Range unit{r, std::min(r + kUnit, rows.end)};
      const Range seen = lanes_of(unit);
      if (!seen.empty()) add(unit, seen, lanes);
    }
  }

  /// Whether all rows are seen by all of `lanes`.
  bool are_whole(Range lanes) const {
    return count_ == 1 && sections_[0].lanes(lanes).size() == lanes.size();
  }

  const Section* begin() const { return sections_.data(); }
  const Section* end() const { return sections_.data() + count_; }

 private:
  void add(Range rows, Range seen, Range lanes) {
    const int first = static_cast<int>((seen.begin - lanes.begin) / simd::kWidth);
    const int last = static_cast<int>((seen.end - 1 - lanes.begin) / simd::kWidth);
    const int vectors = last + 1 - first;
    if (count_ > 0) {
      Section& before = sections_[count_ - 1];
      if (before.first == first && before.vectors == vectors && before.rows.end == rows.begin) {
        before.rows.end = rows.end;
        return;
      }
    }
    sections_[count_++] = {rows, first, vectors};
  }

  std::array<Section, kMost / kUnit> sections_;
  std::size_t count_ = 0;
};

}  // namespace arena
