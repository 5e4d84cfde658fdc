#pragma once
// Forward of tiled softmax attention: the order of the work, by either kind of groups of queries
// (softmax_query_lanes.hpp says what they do).

#include "harness/layers/product.hpp"
#include "variants/engine/softmax_query_lanes.hpp"

namespace arena::softmax_forward_detail {

/// Groups per tile: more of them share each visit of a block of keys, where Group::kTiles tiles are
/// left for threads; up to Group::kOneTile queries are one. A function of query_len only.
template <class Group>
constexpr Index kGroupsMin = std::max(Index{1}, 128 / Group::kLanes);
template <class Group>
constexpr Index kGroupsMax = 8 * kGroupsMin<Group>;
template <class Group>
Index group_count(Index query_len) {
  const Index shared = Group::kLanes * (query_len <= Group::kOneTile ? 1 : Group::kTiles);
  return std::clamp((query_len + shared - 1) / shared, kGroupsMin<Group>, kGroupsMax<Group>);
}
template <class Group>
Index tile_len(Index query_len) {
  return group_count<Group>(query_len) * Group::kLanes;
}

/// Asks for these rows, those of the matrix, in the second-level cache: to be read, or written.
template <bool kWrite = false, class Rows>
void prefetch(const Rows& x, Range rows) {
  constexpr Index kLine = 64 / sizeof(float);
  for (Index j = rows.begin; j < std::min(rows.end, x.rows()); ++j) {
    const float* const row = x.data() + j * x.outerStride();
    for (Index c = 0; c < x.cols(); c += kLine) __builtin_prefetch(row + c, kWrite ? 1 : 0, 2);
  }
}

template <class Group>
class QueryTile {
 public:
  QueryTile(Workspace& workspace, const HeadInputs& in, const TileMask& mask, float scale,
            Output output)
      : in_(in),
        mask_(mask),
        scale_(scale),
        output_(output),
        pipeline_(workspace, in.query.cols(), mask) {
    for (Index g = 0; g < group_count<Group>(in.query.rows()); ++g) {
      groups_[g].take(workspace, in.query.cols());
    }
  }

  static Index scratch(Index query_len, Index head_dim) {
    return group_count<Group>(query_len) * Group::bytes(head_dim) + Pipeline::bytes(head_dim);
  }

  void run(Range queries, const HeadOutputs& outputs, View& statistics) {
    const Range hull = mask_.keys_of(queries, {0, in_.key.rows()});
    if (hull.empty() && output_ == Output::kAdd) return;
    count_ = (queries.size() + kLanes - 1) / kLanes;
    prefetch(in_.query, {queries.begin, queries.begin + kLanes});
    prefetch_keys({hull.begin, hull.begin + kKeyBlock});
    for (Index g = 0; g < count_; ++g) {
      const Index begin = queries.begin + g * kLanes, end = begin + kLanes;
      prefetch(in_.query, {end, std::min(end + kLanes, queries.end)});
      groups_[g].start(in_.query, {begin, std::min(end, queries.end)}, scale_);
      if (output_ == Output::kAdd) groups_[g].resume(outputs.out, statistics);
    }
    for (Index j = hull.begin; j < hull.end; j += kKeyBlock) {
      const Range block{j, std::min(j + kKeyBlock, hull.end)};
      if (!mask_.keys_of(queries, block).empty()) visit(block, hull.end, outputs.out);
    }
    pipeline_.flush();
    for (Index g = 0; g < count_; ++g) groups_[g].finish(outputs, statistics);
  }

 private:
  static constexpr Index kLanes = Group::kLanes, kKeyBlock = Group::kKeyBlock;
  using Pipeline = typename Group::Pipeline;

  void prefetch_keys(Range keys) const {
    prefetch(in_.key, keys);
    prefetch(in_.value, keys);
  }

  /// Fetches meanwhile, a share at a time, what is needed next: keys before `end`, or places in
  /// out.
  void visit(Range block, Index end, const View& out) {
    started_ = false;
    const Index share = (kKeyBlock + count_ - 1) / count_;
    for (Index g = 0; g < count_; ++g) {
      const Index next = block.end + g * share;
      if (block.end == end) prefetch<true>(out, groups_[g].queries());
      prefetch_keys({next, std::min(next + share, end)});
      attend(groups_[g], block);
    }
  }

  void attend(const Group& group, Range block) {
    const Range hull = mask_.keys_of(group.queries(), block);
    if (hull.empty()) return;
    // in whole steps: the mask hides the scores that are too many
    constexpr Index kStep = Group::kKeyStep;
    const Range seen{hull.begin - (hull.begin - block.begin) % kStep,
                     std::min(block.begin + round_up(hull.end - block.begin, kStep), block.end)};
    const Cover cover = mask_.cover(group.queries(), seen);
    if (cover == Cover::kNone) return;
    // not before: values of earlier blocks are kept for those that were attended only
    if (!started_) pipeline_.start(in_, block);
    started_ = true;
    pipeline_.attend(group, seen, cover);
  }

  const HeadInputs& in_;
  const TileMask& mask_;
  float scale_;
  Output output_;
  Pipeline pipeline_;
  Index count_ = 0;
  bool started_ = false;  // the block that is visited
  Group groups_[kGroupsMax<Group>];
};

template <class Group>
void run_forward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                 HeadOutputs outputs, View statistics, Output output) {
  const Index query_len = in.query.rows(), tile = tile_len<Group>(query_len);
  team.for_each((query_len + tile - 1) / tile, [&](Index t, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    [[maybe_unused]] const typename Group::Session session;
    QueryTile<Group> queries(worker.workspace(), in, mask, scale, output);
    queries.run({t * tile, std::min((t + 1) * tile, query_len)}, outputs, statistics);
  });
}

template <class Group>
SoftmaxScratch forward_scratch(const Extents& extents, Index head_dim, Index workers) {
  const Index tile = tile_len<Group>(extents.query_len);
  const Index tiles = (extents.query_len + tile - 1) / tile;
  const Index each = QueryTile<Group>::scratch(extents.query_len, head_dim);
  return {each, tiles < workers ? each : workers * each};
}

}  // namespace arena::softmax_forward_detail
