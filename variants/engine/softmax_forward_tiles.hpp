#pragma once
// Forward of tiled softmax attention: the order of the work, by either kind of groups of queries
// (softmax_query_lanes.hpp says what they do).

#include <stdexcept>

#include "variants/engine/rows_ahead.hpp"
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

/// The tiles that so many queries are cut into.
template <class Group>
struct Tiling {
  Index query_len;

  Index length() const { return group_count<Group>(query_len) * Group::kLanes; }  // of a tile
  Index count() const { return (query_len + length() - 1) / length(); }
  Range operator[](Index t) const {
    return {t * length(), std::min((t + 1) * length(), query_len)};
  }
};

/// These rows, those of the matrix.
inline ConstView rows_in(const ConstView& x, Range rows) {
  const Index end = std::min(rows.end, x.rows());
  return x.row_slice(std::min(rows.begin, end), std::max(end - rows.begin, Index{0}));
}

/// Tiles of queries of one or more softmaxes, one after another. A tile's last products are made
/// while the next tile starts.
template <class Group>
class QueryTiles {
 public:
  /// For problems of at most so many queries.
  QueryTiles(Workspace& workspace, Index query_len, Index head_dim, float scale, Output output)
      : scale_(scale),
        output_(output),
        pipeline_(workspace, head_dim),
        capacity_(most_groups(query_len)) {
    for (Index g = 0; g < capacity_; ++g) groups_[g].take(workspace, head_dim);
  }

  static Index scratch(Index query_len, Index head_dim) {
    return most_groups(query_len) * Group::bytes(head_dim) + Pipeline::bytes(head_dim);
  }

  /// Outputs are written by finish() at the latest. What `next`, if any, needs first is fetched
  /// meanwhile.
  void run(const SoftmaxProblem& problem, Range queries, const SoftmaxProblem* next) {
    const HeadInputs& in = problem.in;
    const Range hull = problem.mask->keys_of(queries, {0, in.key.rows()});
    if (hull.empty() && output_ == Output::kAdd) return;
    problem_ = &problem;
    first_ += count_;
    count_ = (queries.size() + kLanes - 1) / kLanes;
    if (!expected_) fetch(queries, {hull.begin, hull.begin + kKeyBlock});
    expected_ = false;
    const Keys seen = hull.size() <= kKeyBlock ? Keys::kOneBlock : Keys::kBlocks;
    for (Index g = 0; g < count_; ++g) {
      const Index begin = queries.begin + g * kLanes;
      start(group(g), {begin, std::min(begin + kLanes, queries.end)}, seen);
    }
    for (Index j = hull.begin; j < hull.end; j += kKeyBlock) {
      const Range block{j, std::min(j + kKeyBlock, hull.end)};
      if (problem.mask->keys_of(queries, block).empty()) continue;
      ahead_.clear();
      if (block.end < hull.end) {
        const Range keys{block.end, std::min(block.end + kKeyBlock, hull.end)};
        ahead_.add(rows_in(in.key, keys));
        ahead_.add(rows_in(in.value, keys));
      } else {
        ahead_.add(rows_in(problem.outputs.out, queries));
        expect(queries, next);
      }
      ahead_.spread(queries.size() * block.size() * in.query.cols() / kTileScores);
      visit(block);
    }
  }

  void finish() {
    pipeline_.flush();
    for (Index g = 0; g < capacity_; ++g) finish(groups_[g]);
  }

 private:
  static constexpr Index kLanes = Group::kLanes, kKeyBlock = Group::kKeyBlock;
  static constexpr Index kTileScores = kTileRows * kTileLanes;  // of a step of products
  using Pipeline = typename Group::Pipeline;

  /// Of a tile of at most so many queries: those of Group::kOneTile may be more than of a longer
  /// one.
  static Index most_groups(Index query_len) {
    return std::max(group_count<Group>(query_len),
                    group_count<Group>(std::min(query_len, Group::kOneTile)));
  }

  /// Of the tile; each takes its turn.
  Group& group(Index g) { return groups_[(first_ + g) % capacity_]; }

  void start(Group& group, Range queries, Keys keys) {
    if (group.waits() && pipeline_.holds(group)) pipeline_.flush();
    finish(group);
    group.start(*problem_, queries, scale_, output_, keys);
  }

  static void finish(const Group& group) {
    if (group.waits()) group.finish();
  }

  /// At once, where there is nothing to weave it into.
  void fetch(Range queries, Range keys) {
    ahead_.clear();
    ahead_.add(rows_in(problem_->in.query, queries));
    ahead_.add(rows_in(problem_->in.key, keys));
    ahead_.add(rows_in(problem_->in.value, keys));
    ahead_.all();
  }

  /// What starts after this tile: another of the problem, or the next problem.
  void expect(Range queries, const SoftmaxProblem* next) {
    Range rows{0, queries.size()};
    if (queries.end < problem_->in.query.rows()) {
      rows = {queries.end, queries.end + queries.size()};
      next = problem_;
    }
    expected_ = next != nullptr;
    if (!next) return;
    rows.end = std::min(rows.end, next->in.query.rows());
    const Range hull = next->mask->keys_of(rows, {0, next->in.key.rows()});
    const Range keys{hull.begin, std::min(hull.begin + kKeyBlock, hull.end)};
    ahead_.add(rows_in(next->in.query, rows));
    ahead_.add(rows_in(next->in.key, keys));
    ahead_.add(rows_in(next->in.value, keys));
  }

  void visit(Range block) {
    started_ = false;
    for (Index g = 0; g < count_; ++g) attend(group(g), block);
  }

  void attend(const Group& group, Range block) {
    const TileMask& mask = *problem_->mask;
    const Range hull = mask.keys_of(group.queries(), block);
    if (hull.empty()) return;
    // in whole steps: the mask hides the scores that are too many
    constexpr Index kStep = Group::kKeyStep;
    const Range seen{hull.begin - (hull.begin - block.begin) % kStep,
                     std::min(block.begin + round_up(hull.end - block.begin, kStep), block.end)};
    const Cover cover = mask.cover(group.queries(), seen);
    if (cover == Cover::kNone) return;
    // not before: values of earlier blocks are kept for those that were attended only
    if (!started_) pipeline_.start(problem_->in, block);
    started_ = true;
    pipeline_.attend(group, mask, seen, cover, ahead_);
  }

  float scale_;
  Output output_;
  Pipeline pipeline_;
  RowsAhead ahead_;
  Index capacity_;
  const SoftmaxProblem* problem_ = nullptr;
  Index first_ = 0, count_ = 0;  // groups of the tile
  bool started_ = false;         // the block that is visited
  bool expected_ = false;        // the next tile: what it starts with was fetched
  Group groups_[kGroupsMax<Group>];
};

/// body(tiles) with room for those of this problem and smaller ones.
template <class Group, class Body>
void with_tiles(Workspace& workspace, const SoftmaxProblem& largest, float scale, Output output,
                const Body& body) {
  const WorkspaceScope scope(workspace);
  [[maybe_unused]] const typename Group::Session session;
  const ConstView& query = largest.in.query;
  QueryTiles<Group> tiles(workspace, query.rows(), query.cols(), scale, output);
  body(tiles);
  tiles.finish();
}

template <class Group>
void run_forward(const Team& team, const SoftmaxProblem& problem, float scale, Output output) {
  const Tiling<Group> tiling{problem.in.query.rows()};
  // one worker alone takes them all, each on the heels of the one before
  const Index at_once = team.size() == 1 ? tiling.count() : 1;
  if (at_once == 0) return;
  team.for_each(tiling.count() / at_once, [&](Index batch, const Team& worker) {
    with_tiles<Group>(worker.workspace(), problem, scale, output, [&](QueryTiles<Group>& tiles) {
      for (Index t = batch * at_once; t < (batch + 1) * at_once; ++t) {
        tiles.run(problem, tiling[t], nullptr);
      }
    });
  });
}

template <class Group>
void run_each(Workspace& workspace, const Series<SoftmaxProblem>& problems, float scale,
              Output output) {
  const SoftmaxProblem* problem = problems();
  if (!problem) return;
  const Index most = problem->in.query.rows();
  with_tiles<Group>(workspace, *problem, scale, output, [&](QueryTiles<Group>& tiles) {
    while (problem) {
      const SoftmaxProblem* const next = problems();
      const Tiling<Group> tiling{problem->in.query.rows()};
      if (tiling.query_len > most) throw std::logic_error("a softmax larger than the first");
      for (Index t = 0; t < tiling.count(); ++t) tiles.run(*problem, tiling[t], next);
      problem = next;
    }
  });
}

template <class Group>
SoftmaxScratch forward_scratch(const Extents& extents, Index head_dim, Index workers) {
  const Index each = QueryTiles<Group>::scratch(extents.query_len, head_dim);
  return {each, Tiling<Group>{extents.query_len}.count() < workers ? each : workers * each};
}

}  // namespace arena::softmax_forward_detail
