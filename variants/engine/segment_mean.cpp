#include "variants/engine/segment_mean.hpp"

namespace arena {

void segment_means(const Team& team, const ConstView& x, const Segments& segments, View means) {
  team.for_each(segments.count, [&](Index s, const Team&) {
    const Index begin = segments.begin(s), size = segments.size(s);
    means.row(s) = x.row(begin);
    for (Index i = 1; i < size; ++i) means.row(s) += x.row(begin + i);
    means.row(s) /= static_cast<float>(size);
  });
}

void add_segment_means_gradient(const Team& team, const ConstView& d_means,
                                const Segments& segments, View d_x) {
  team.for_each(segments.count, [&](Index s, const Team&) {
    const Index begin = segments.begin(s), size = segments.size(s);
    const float share = 1 / static_cast<float>(size);
    for (Index i = 0; i < size; ++i) d_x.row(begin + i) += share * d_means.row(s);
  });
}

}  // namespace arena
