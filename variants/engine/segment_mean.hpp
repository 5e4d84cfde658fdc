#pragma once
// Means of consecutive rows: landmarks, block summaries.

#include "harness/core/team.hpp"

namespace arena {

/// A sequence cut into `count` <= len parts: where count does not divide len, the last ones are one
/// row longer.
struct Segments {
  Index len = 0;
  Index count = 1;

  Index begin(Index s) const { return s * (len / count) + std::max(Index{0}, s - shorter()); }
  Index size(Index s) const { return begin(s + 1) - begin(s); }

 private:
  Index shorter() const { return count - len % count; }
};

/// means [count, width] = the mean of each segment's rows of x [len, width].
void segment_means(const Team& team, const ConstView& x, const Segments& segments, View means);

/// d_x += the gradient of that.
void add_segment_means_gradient(const Team& team, const ConstView& d_means,
                                const Segments& segments, View d_x);

}  // namespace arena
