#pragma once
// A head whose softmax is over a fixed pattern of (query, key) pairs, given as parts.

#include <variant>

#include "variants/engine/block_mask.hpp"
#include "variants/engine/softmax_parts.hpp"

namespace arena {

struct PatternPart {
  PartRows rows;
  std::variant<BandMask, OtherBlocksMask> mask;
};

/// The pairs of self attention on `length` positions, each in one part. Parts come in stages. Those
/// of one stage share neither queries nor keys, so they run side by side, and its part 0 is the
/// largest; the parts of stage 0 hold every position.
class Pattern {
 public:
  virtual ~Pattern() = default;
  virtual Index stages() const { return 1; }
  virtual Index parts(Index stage, Index length) const = 0;
  virtual PatternPart part(Index stage, Index p, Index length) const = 0;
};

/// Number of its pairs.
Index count_pairs(const Pattern& pattern, Index length);

std::unique_ptr<AttentionHead> make_pattern_head(std::string name, const Setup& setup,
                                                 std::unique_ptr<const Pattern> pattern);

/// 4 P d for each head forward, 10 P d backward, where P is the number of pairs.
double pattern_flops(const Problem& problem, const Pattern& pattern);
double pattern_bytes(const Problem& problem, const Pattern& pattern);

}  // namespace arena
