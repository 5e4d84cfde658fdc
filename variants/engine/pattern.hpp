#pragma once
// A head whose softmax is over a fixed pattern of (query, key) pairs, given as parts.

#include <array>
#include <variant>

#include "variants/engine/block_mask.hpp"
#include "variants/engine/softmax_parts.hpp"

namespace arena {

struct PatternPart {
  PartRows rows;
  std::variant<BandMask, OtherBlocksMask, StackedBandMask> mask;
};

/// The pairs of self attention on `length` positions, each in one part. Parts come in stages. Those
/// of one stage share neither queries nor keys, so they run side by side. Its part 0 is the
/// largest, and if its rows are views, each part is no larger than the one before. The parts of
/// stage 0 hold every position.
class Pattern {
 public:
  virtual ~Pattern() = default;
  virtual Index stages() const { return 1; }
  virtual Index parts(Index stage, Index length) const = 0;
  virtual PatternPart part(Index stage, Index p, Index length) const = 0;
};

/// The residue classes modulo `classes` of `length` positions that have at least `least` of them.
/// Short ones come several at a time, so that tiles of queries are full; the first group is the
/// largest.
class ResidueGroups {
 public:
  struct Group {
    RowSet rows;
    Index number, each;  // classes, and rows of each
  };

  ResidueGroups(Index length, Index classes, Index least);
  Index count() const { return groups(kinds_[0]) + groups(kinds_[1]); }
  Group operator[](Index g) const;

 private:
  /// `number` classes from that of `first` on have `each` rows.
  struct Kind {
    Index first, number, each;
  };
  Index groups(const Kind& kind) const { return (kind.number + at_once_ - 1) / at_once_; }

  Index classes_, at_once_;
  std::array<Kind, 2> kinds_;
};

/// Number of its pairs.
Index count_pairs(const Pattern& pattern, Index length);

std::unique_ptr<AttentionHead> make_pattern_head(std::string name, const Setup& setup,
                                                 std::unique_ptr<const Pattern> pattern);

/// 4 P d for each head forward, 10 P d backward, where P is the number of pairs.
double pattern_flops(const Problem& problem, const Pattern& pattern);
double pattern_bytes(const Problem& problem, const Pattern& pattern);

}  // namespace arena
