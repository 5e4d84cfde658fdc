#include "variants/engine/block_mask.hpp"

#include <algorithm>
#include <limits>

#include "harness/layers/simd.hpp"

namespace arena {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

/// A tile of scores as lines along which it is contiguous.
struct Lines {
  Lines(Range queries, Range keys, ScoreTile tile)
      : scores(tile),
        lanes_are_queries(tile.query_stride == 1),
        rows(lanes_are_queries ? keys : queries),
        lanes(lanes_are_queries ? queries : keys) {}

  float* line(Index row) const {
    const Index stride = lanes_are_queries ? scores.key_stride : scores.query_stride;
    return scores.data + (row - rows.begin) * stride;
  }
  /// Hides the pairs of some queries and keys of the tile.
  void hide(Range queries, Range keys) const {
    const Range some_rows = lanes_are_queries ? keys : queries;
    const Range some_lanes = lanes_are_queries ? queries : keys;
    if (some_lanes.empty()) return;
    for (Index row = some_rows.begin; row < some_rows.end; ++row) {
      std::fill_n(line(row) + some_lanes.begin - lanes.begin, some_lanes.size(), kHidden);
    }
  }

  ScoreTile scores;
  bool lanes_are_queries;
  Range rows, lanes;
};

/// The blocks that a range of rows touches.
Range blocks_of(Range rows, Index block) {
  return {rows.begin / block, (rows.end - 1) / block + 1};
}

Range rows_of(Index b, Index block) {
  return {b * block, (b + 1) * block};
}

/// `range` without those of `hole` at its ends.
Range trimmed(Range range, Range hole) {
  if (hole.begin <= range.begin) range.begin = std::clamp(hole.end, range.begin, range.end);
  if (hole.end >= range.end) range.end = std::clamp(hole.begin, range.begin, range.end);
  return range;
}

/// Those of a row's blocks that lie in `blocks`.
std::span<const std::int32_t> part_of(std::span<const std::int32_t> row, Range blocks) {
  const auto first = std::lower_bound(row.begin(), row.end(), blocks.begin);
  return {first, std::lower_bound(first, row.end(), blocks.end)};
}

/// The smallest part of `within` that holds all that is listed for the blocks of `rows`.
Range hull(const BlockLists& lists, Index block, Range rows, Range within) {
  const Range from = blocks_of(rows, block), among = blocks_of(within, block);
  Range found{within.end, within.begin};
  for (Index b = from.begin; b < from.end; ++b) {
    const std::span<const std::int32_t> seen = part_of(lists.row(b), among);
    if (seen.empty()) continue;
    found.begin = std::min(found.begin, rows_of(seen.front(), block).begin);
    found.end = std::max(found.end, rows_of(seen.back(), block).end);
  }
  return intersection(found, within);
}

/// Positions `before` before to `after` behind a row, of its own sequence of `each`.
Range around(Index row, Index each, Index before, Index after) {
  const Index start = row / each * each, position = row - start;
  return {start + std::max(Index{0}, position - before),
          start + std::min(each, position + after + 1)};
}

/// All of them for a range of rows.
Range around(Range rows, Index each, Index before, Index after) {
  return {around(rows.begin, each, before, after).begin,
          around(rows.end - 1, each, before, after).end};
}

void hide_by(const PairRule& rule, const Lines& lines) {
  const float* const row_labels = lines.lanes_are_queries ? rule.key : rule.query;
  const float* const lane_labels = lines.lanes_are_queries ? rule.query : rule.key;
  const simd::Vec hidden(kHidden);
  for (Index row = lines.rows.begin; row < lines.rows.end; ++row) {
    const simd::Vec row_label(row_labels[row]);
    float* const line = lines.line(row);
    simd::for_vectors(lines.lanes.size(), [&](Index i, Index count) {
      const simd::Vec labels = simd::load_part(lane_labels + lines.lanes.begin + i, count);
      simd::Vec scores = simd::load(line + i);
      if (rule.hide_later) {
        const auto later = lines.lanes_are_queries ? labels < row_label : row_label < labels;
        scores = simd::select(later, hidden, scores);
      }
      if (rule.hide_equal) scores = simd::select(labels == row_label, hidden, scores);
      simd::store(line + i, scores);
    });
  }
}

}  // namespace

Range OtherBlocksMask::hidden(Index b) const {
  const Index end = blocks_ == Blocks::kOther ? (b + 1) * key_block_ : extents_.key_len;
  return {b * key_block_, end};
}

Range OtherBlocksMask::keys_of(Range queries, Range within) const {
  const Range own = blocks_of(queries, query_block_);
  if (blocks_ == Blocks::kOther && own.size() > 1) return within;
  return trimmed(within, hidden(own.end - 1));
}

Range OtherBlocksMask::queries_of(Range keys, Range within) const {
  const Range own = blocks_of(keys, key_block_);
  if (blocks_ == Blocks::kOther && own.size() > 1) return within;
  const Index begin = blocks_ == Blocks::kOther ? own.begin * query_block_ : 0;
  return trimmed(within, {begin, (own.begin + 1) * query_block_});
}

Cover OtherBlocksMask::cover(Range queries, Range keys) const {
  const Range own = blocks_of(queries, query_block_);
  const Range first = hidden(own.begin), last = hidden(own.end - 1);
  if (intersection({first.begin, last.end}, keys).empty()) return Cover::kAll;
  return keys_of(queries, keys).empty() ? Cover::kNone : Cover::kSome;
}

void OtherBlocksMask::hide(Range queries, Range keys, ScoreTile scores) const {
  const Lines lines(queries, keys, scores);
  const Range own = blocks_of(queries, query_block_);
  for (Index b = own.begin; b < own.end; ++b) {
    lines.hide(intersection(rows_of(b, query_block_), queries), intersection(hidden(b), keys));
  }
}

Index OtherBlocksMask::covered() const {
  const Range own = blocks_of({0, extents_.query_len}, query_block_);
  Index count = 0;
  for (Index b = own.begin; b < own.end; ++b) {
    const Range queries = intersection(rows_of(b, query_block_), {0, extents_.query_len});
    const Index unseen = intersection(hidden(b), {0, extents_.key_len}).size();
    count += queries.size() * (extents_.key_len - std::max(Index{0}, unseen));
  }
  return count;
}

Range StackedBandMask::keys_of(Range queries, Range within) const {
  return intersection(around(queries, each_, before_, after_), within);
}

Range StackedBandMask::queries_of(Range keys, Range within) const {
  return intersection(around(keys, each_, after_, before_), within);
}

Cover StackedBandMask::cover(Range queries, Range keys) const {
  if (keys_of(queries, keys).empty()) return Cover::kNone;
  if (own_ == Own::kHidden && !intersection(queries, keys).empty()) return Cover::kSome;
  const Range first = around(queries.begin, each_, before_, after_);
  const Range last = around(queries.end - 1, each_, before_, after_);
  return last.begin <= keys.begin && keys.end <= first.end ? Cover::kAll : Cover::kSome;
}

void StackedBandMask::hide(Range queries, Range keys, ScoreTile scores) const {
  using simd::Vec;
  const Lines lines(queries, keys, scores);
  const Index before = lines.lanes_are_queries ? after_ : before_;
  const Index after = lines.lanes_are_queries ? before_ : after_;
  const Vec hidden(kHidden);
  for (Index row = lines.rows.begin; row < lines.rows.end; ++row) {
    const Range seen = around(row, each_, before, after);
    const Vec begin(static_cast<float>(seen.begin - lines.lanes.begin));
    const Vec end(static_cast<float>(seen.end - lines.lanes.begin));
    float* const line = lines.line(row);
    for (Index lane = 0; lane < lines.lanes.size(); lane += simd::kWidth) {
      const Vec at = Vec(static_cast<float>(lane)) + simd::iota();
      const Vec behind = simd::select(at < begin, hidden, simd::load(line + lane));
      simd::store(line + lane, simd::select(at < end, behind, hidden));
    }
    const Index own = row - lines.lanes.begin;
    if (own_ == Own::kHidden && own >= 0 && own < lines.lanes.size()) line[own] = kHidden;
  }
}

Index StackedBandMask::covered() const {
  Index count = 0;
  for (Index p = 0; p < each_; ++p) {
    const Range seen = around(p, each_, before_, after_);
    count += std::max(Index{0}, seen.size());
    if (own_ == Own::kHidden && seen.begin <= p && p < seen.end) --count;
  }
  return number_ * count;
}

BlockLists transpose(const BlockLists& lists, std::span<std::int32_t> begin,
                     std::span<std::int32_t> block) {
  const auto rows = static_cast<std::int32_t>(lists.begin.size()) - 1;
  std::ranges::fill(begin, 0);
  for (const std::int32_t b : lists.block) ++begin[static_cast<std::size_t>(b) + 1];
  for (std::size_t b = 1; b < begin.size(); ++b) begin[b] += begin[b - 1];
  // each row's begin moves to its end while it is filled, which is the begin of the next
  for (std::int32_t row = 0; row < rows; ++row) {
    for (const std::int32_t b : lists.row(row)) {
      block[static_cast<std::size_t>(begin[static_cast<std::size_t>(b)]++)] = row;
    }
  }
  std::shift_right(begin.begin(), begin.end(), 1);
  begin[0] = 0;
  return {begin, block};
}

Range BlockMask::keys_of(Range queries, Range within) const {
  return hull(keys_, block_, queries, within);
}

Range BlockMask::queries_of(Range keys, Range within) const {
  return hull(queries_, block_, keys, within);
}

Cover BlockMask::cover(Range queries, Range keys) const {
  const Range rows = blocks_of(queries, block_), among = blocks_of(keys, block_);
  Index seen = 0;
  for (Index b = rows.begin; b < rows.end; ++b) {
    seen += static_cast<Index>(part_of(keys_.row(b), among).size());
  }
  if (seen == 0) return Cover::kNone;
  return seen == rows.size() * among.size() && !rule_.query ? Cover::kAll : Cover::kSome;
}

void BlockMask::hide(Range queries, Range keys, ScoreTile scores) const {
  const Lines lines(queries, keys, scores);
  const Range rows = blocks_of(queries, block_), among = blocks_of(keys, block_);
  for (Index b = rows.begin; b < rows.end; ++b) {
    const Range some = intersection(rows_of(b, block_), queries);
    Index next = among.begin;  // of the blocks not yet looked at
    for (const std::int32_t seen : part_of(keys_.row(b), among)) {
      lines.hide(some, intersection({next * block_, seen * block_}, keys));
      next = seen + 1;
    }
    lines.hide(some, intersection({next * block_, keys.end}, keys));
  }
  if (rule_.query) hide_by(rule_, lines);
}

Range BlockBandMask::keys_of(Range queries, Range within) const {
  const Range own = blocks_of(queries, block_);
  return intersection({(own.begin + first_) * block_, (own.end + last_) * block_}, within);
}

Range BlockBandMask::queries_of(Range keys, Range within) const {
  const Range own = blocks_of(keys, block_);
  return intersection({(own.begin - last_) * block_, (own.end - first_) * block_}, within);
}

Cover BlockBandMask::cover(Range queries, Range keys) const {
  if (keys_of(queries, keys).empty()) return Cover::kNone;
  const Range own = blocks_of(queries, block_);
  const Range seen_by_all{(own.end - 1 + first_) * block_, (own.begin + last_ + 1) * block_};
  const bool all = seen_by_all.begin <= keys.begin && keys.end <= seen_by_all.end;
  return all && !rule_.query ? Cover::kAll : Cover::kSome;
}

void BlockBandMask::hide(Range queries, Range keys, ScoreTile scores) const {
  const Lines lines(queries, keys, scores);
  const Range own = blocks_of(queries, block_);
  for (Index b = own.begin; b < own.end; ++b) {
    const Range some = intersection(rows_of(b, block_), queries);
    const Index begin = (b + first_) * block_, end = (b + last_ + 1) * block_;
    lines.hide(some, intersection({keys.begin, begin}, keys));
    lines.hide(some, intersection({end, keys.end}, keys));
  }
  if (rule_.query) hide_by(rule_, lines);
}

}  // namespace arena
