#include "variants/engine/tile_mask.hpp"

#include <algorithm>
#include <limits>

#include "harness/layers/simd.hpp"

namespace arena {

BandMask::BandMask(const Extents& extents, Index before, Index after)
    : extents_(extents),
      before_(std::min(before, extents.query_len + extents.key_len)),
      after_(std::min(after, extents.query_len + extents.key_len)) {}

BandMask BandMask::full(const Extents& extents) {
  const Index all = extents.query_len + extents.key_len;
  return {extents, all, all};
}

BandMask BandMask::causal(const Extents& extents) {
  return {extents, extents.query_len + extents.key_len, 0};
}

Range BandMask::visible(Index query) const {
  const Index position = causal_limit(query, extents_);
  return {std::max(Index{0}, position - before_),
          std::min(extents_.key_len, position + after_ + 1)};
}

Range BandMask::keys_of(Range queries, Range within) const {
  return intersection({visible(queries.begin).begin, visible(queries.end - 1).end}, within);
}

Range BandMask::queries_of(Range keys, Range within) const {
  const Index offset = extents_.key_len - extents_.query_len;
  return intersection({keys.begin - after_ - offset, keys.end + before_ - offset}, within);
}

Cover BandMask::cover(Range queries, Range keys) const {
  const Range first = visible(queries.begin), last = visible(queries.end - 1);
  if (intersection({first.begin, last.end}, keys).empty()) return Cover::kNone;
  return last.begin <= keys.begin && first.end >= keys.end ? Cover::kAll : Cover::kSome;
}

void BandMask::hide(Range queries, Range keys, ScoreTile scores) const {
  using simd::Vec;
  const bool lanes_are_queries = scores.query_stride == 1;
  const Range rows = lanes_are_queries ? keys : queries;
  const Range lanes = lanes_are_queries ? queries : keys;
  const Index row_stride = lanes_are_queries ? scores.key_stride : scores.query_stride;
  // distance = key - position of the query, exact in float below 2^24
  const float step = lanes_are_queries ? -1.0F : 1.0F;
  const Vec ramp = Vec(step) * simd::iota();
  const Vec low(static_cast<float>(-before_)), high(static_cast<float>(after_));
  const Vec hidden(-std::numeric_limits<float>::infinity());
  for (Index row = rows.begin; row < rows.end; ++row) {
    const Index start = lanes_are_queries ? row - causal_limit(lanes.begin, extents_)
                                          : lanes.begin - causal_limit(row, extents_);
    const Index end = start + (lanes.size() - 1) * (lanes_are_queries ? -1 : 1);
    if (std::min(start, end) >= -before_ && std::max(start, end) <= after_) continue;
    float* const line = scores.data + (row - rows.begin) * row_stride;
    for (Index lane = lanes.begin; lane < lanes.end; lane += simd::kWidth) {
      const Index distance =
          lanes_are_queries ? start - (lane - lanes.begin) : start + (lane - lanes.begin);
      const Vec distances = Vec(static_cast<float>(distance)) + ramp;
      float* const place = line + (lane - lanes.begin);
      const Vec low_kept = simd::select(distances < low, hidden, simd::load(place));
      simd::store(place, simd::select(high < distances, hidden, low_kept));
    }
  }
}

bool BandMask::sees(Index query, Index key) const {
  const Range keys = visible(query);
  return keys.begin <= key && key < keys.end;
}

Index BandMask::covered() const {
  Index count = 0;
  for (Index i = 0; i < extents_.query_len; ++i) count += std::max(Index{0}, visible(i).size());
  return count;
}

}  // namespace arena
