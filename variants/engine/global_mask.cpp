#include "variants/engine/global_mask.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace arena {
namespace {

/// Hides pairs of the tile that begins at (query, key).
void hide_pairs(Range queries, Range keys, Index query, Index key, ScoreTile scores) {
  for (Index i = queries.begin; i < queries.end; ++i) {
    for (Index j = keys.begin; j < keys.end; ++j) {
      scores.data[(i - query) * scores.query_stride + (j - key) * scores.key_stride] =
          -std::numeric_limits<float>::infinity();
    }
  }
}

}  // namespace

Index count_globals(const Call& call, Index first, Index length) {
  return call.globals.empty() ? std::min(first, length) : std::ssize(call.globals);
}

void list_globals(const Call& call, Index length, std::span<std::int32_t> globals) {
  if (call.globals.empty()) return std::iota(globals.begin(), globals.end(), 0);
  std::ranges::transform(call.globals, globals.begin(),
                         [](std::int64_t i) { return static_cast<std::int32_t>(i); });
  std::ranges::sort(globals);
  for (std::size_t g = 0; g < globals.size(); ++g) {
    check(globals[g] >= 0 && globals[g] < length && (g == 0 || globals[g - 1] < globals[g]),
          "global position {} stands twice or is not in 0..{}", globals[g], length - 1);
  }
}

Positions WindowAndGlobals::globals_in(Range range) const {
  const auto first = std::lower_bound(globals_.begin(), globals_.end(), range.begin);
  return {first, std::lower_bound(first, globals_.end(), range.end)};
}

Range WindowAndGlobals::keys_of(Range queries, Range within) const {
  const Range near = window_.keys_of(queries, within);
  const Positions far = globals_in(within);
  if (far.empty()) return near;
  const Range hull{far.front(), far.back() + 1};
  if (near.empty()) return hull;
  return {std::min(near.begin, hull.begin), std::max(near.end, hull.end)};
}

Range WindowAndGlobals::queries_of(Range keys, Range within) const {
  return globals_in(keys).empty() ? window_.queries_of(keys, within) : within;
}

Cover WindowAndGlobals::cover(Range queries, Range keys) const {
  const Cover near = window_.cover(queries, keys);
  if (near == Cover::kNone && globals_in(keys).empty()) return Cover::kNone;
  return near == Cover::kAll && globals_in(queries).empty() ? Cover::kAll : Cover::kSome;
}

void WindowAndGlobals::hide(Range queries, Range keys, ScoreTile scores) const {
  const Positions columns = globals_in(keys);
  if (columns.empty()) {
    window_.hide(queries, keys, scores);
  } else {
    hide_columns(queries, keys, columns, scores);
  }
  for (const Index i : globals_in(queries)) {
    hide_pairs({i, i + 1}, keys, queries.begin, keys.begin, scores);
  }
}

/// Keys one by one, because the window must not hide those that are global.
void WindowAndGlobals::hide_columns(Range queries, Range keys, Positions but,
                                    ScoreTile scores) const {
  for (Index j = keys.begin; j < keys.end; ++j) {
    if (std::ranges::binary_search(but, j)) continue;
    Range seen = window_.queries_of({j, j + 1}, queries);
    if (seen.empty()) seen = {queries.end, queries.end};
    hide_pairs({queries.begin, seen.begin}, {j, j + 1}, queries.begin, keys.begin, scores);
    hide_pairs({seen.end, queries.end}, {j, j + 1}, queries.begin, keys.begin, scores);
  }
}

}  // namespace arena
