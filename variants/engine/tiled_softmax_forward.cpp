// Forward of tiled softmax attention: the order of the work. What one group of queries does with a
// block of keys stands in softmax_query_group.hpp.

#include "harness/layers/product.hpp"
#include "variants/engine/softmax_query_group.hpp"

namespace arena {
namespace {

using namespace softmax_forward_detail;  // NOLINT(google-build-using-namespace): its only user

/// Groups per tile: more of them share each visit of a block of keys where there are queries enough
/// to leave tiles for all threads. A function of query_len only.
constexpr Index kGroupsMin = std::max(Index{1}, 128 / kTileLanes);
constexpr Index kGroupsMax = 4 * kGroupsMin;
Index group_count(Index query_len) {
  return std::clamp(query_len / (4 * kTileLanes), kGroupsMin, kGroupsMax);
}

class QueryTile {
 public:
  QueryTile(Workspace& workspace, const HeadInputs& in, const TileMask& mask, float scale,
            Output output)
      : in_(in), mask_(mask), scale_(scale), output_(output), head_dim_(in.query.cols()) {
    const Index groups = group_count(in.query.rows()), width = round_up(head_dim_, kTileRows);
    for (Index g = 0; g < groups; ++g) groups_[g].take(workspace, head_dim_);
    key_space_ = workspace.take<float>(kKeyBlock * width).data();
    for (Turn& turn : turns_) {
      turn.scores = workspace.take<float>(kKeyBlock * kTileLanes).data();
      turn.value_space = workspace.take<float>(kKeyBlock * width).data();
    }
  }

  static Index scratch(Index query_len, Index head_dim) {
    return group_count(query_len) * QueryGroup::bytes(head_dim) +
           2 * stored_bytes<float>(kKeyBlock * kTileLanes) +
           3 * stored_bytes<float>(kKeyBlock * round_up(head_dim, kTileRows));
  }

  void run(Range queries, const HeadOutputs& outputs, View& statistics) {
    const Range hull = mask_.keys_of(queries, {0, in_.key.rows()});
    if (hull.empty() && output_ == Output::kAdd) return;
    count_ = (queries.size() + kTileLanes - 1) / kTileLanes;
    for (Index g = 0; g < count_; ++g) {
      const Index begin = queries.begin + g * kTileLanes;
      groups_[g].start(in_.query, {begin, std::min(begin + kTileLanes, queries.end)}, scale_);
      if (output_ == Output::kAdd) groups_[g].resume(outputs.out, statistics);
    }
    for (Index j = hull.begin; j < hull.end; j += kKeyBlock) {
      const Range block{j, std::min(j + kKeyBlock, hull.end)};
      if (!mask_.keys_of(queries, block).empty()) visit(block);
    }
    flush<kTileVectors>();
    for (Index g = 0; g < count_; ++g) groups_[g].finish(outputs, statistics);
  }

 private:
  /// A group and what a block of keys adds to it, waiting until the next scores are made.
  struct Pending {
    const QueryGroup* group = nullptr;
    BlockSum block{};
  };

  void visit(Range block) {
    // the values of the block before may still be pending, so blocks take turns
    std::swap(turns_[0].value_space, turns_[1].value_space);
    const Rows keys = contiguous_rows(in_.key, block.begin, block.size(), key_space_);
    const Rows values =
        contiguous_rows(in_.value, block.begin, block.size(), turns_[0].value_space);
    for (Index g = 0; g < count_; ++g) {
      const QueryGroup& group = groups_[g];
      const Range hull = mask_.keys_of(group.queries(), block);
      if (hull.empty()) continue;
      // in whole register tiles: the mask hides the scores that are too many
      const Range seen{
          hull.begin - (hull.begin - block.begin) % kTileRows,
          std::min(block.begin + round_up(hull.end - block.begin, kTileRows), block.end)};
      const Cover cover = mask_.cover(group.queries(), seen);
      if (cover == Cover::kNone) continue;
      const Index skipped = seen.begin - block.begin;
      const Rows key{keys.data + skipped * keys.stride, keys.stride};
      const Rows value{values.data + skipped * values.stride, values.stride};
      with_vectors(group.queries().size(), [&]<int Vectors>() {
        with_forward_pace(head_dim_, [&]<int kPace>() {
          Pending next;
          next.group = &group;
          next.block.value = value;
          next.block.count = seen.size();
          attend<Vectors, kPace>(next, key, seen, cover);
        });
      });
    }
  }

  /// Scores of a group and a block of keys; their exponentials are woven into the pending product
  /// with values, then they are what is pending.
  template <int Vectors, int kPace>
  void attend(Pending next, const Rows& key, Range keys, Cover cover) {
    const QueryGroup& group = *next.group;
    BlockSum& block = next.block;
    std::swap(turns_[0].scores, turns_[1].scores);
    float* const scores = turns_[0].scores;
    Lanes<Vectors> maxima = group.score<Vectors>(key, block.count, scores);
    if (cover == Cover::kSome) {
      mask_.hide(group.queries(), keys, {scores, 1, kTileLanes});
      maxima = QueryGroup::maxima_of<Vectors>(scores, block.count);
    }
    group.move_reference(maxima, scores, block);
    block.p = scores;
    Exponentials<Vectors, kPace> exponentials{
        scores, scores + round_up(block.count, kTileRows) * kTileLanes};
    if (pending_.group)
      exponentials = pending_.group->add<kTileVectors>(pending_.block, exponentials);
    while (exponentials.scores != exponentials.end) exponentials.two();
    pending_ = next;
    if constexpr (Vectors < kTileVectors) flush<Vectors>();
  }

  template <int Vectors>
  void flush() {
    if (pending_.group) pending_.group->add<Vectors>(pending_.block, [](auto) {});
    pending_ = {};
  }

  /// Two of each, because a product is pending while the next scores are made.
  struct Turn {
    float* scores;  // [kKeyBlock][kTileLanes]
    float* value_space;
  };

  const HeadInputs& in_;
  const TileMask& mask_;
  float scale_;
  Output output_;
  Index head_dim_;
  Index count_ = 0;
  QueryGroup groups_[kGroupsMax];
  float* key_space_;
  Turn turns_[2];
  Pending pending_{};
};

void forward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
             HeadOutputs outputs, View statistics, Output output) {
  const Index query_len = in.query.rows(), tile_len = group_count(query_len) * kTileLanes;
  team.for_each((query_len + tile_len - 1) / tile_len, [&](Index t, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    QueryTile tile(worker.workspace(), in, mask, scale, output);
    tile.run({t * tile_len, std::min((t + 1) * tile_len, query_len)}, outputs, statistics);
  });
}

}  // namespace

void softmax_forward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                     HeadOutputs outputs, View statistics) {
  forward(team, in, scale, mask, outputs, statistics, Output::kOverwrite);
}

void softmax_forward_add(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                         HeadOutputs outputs, View statistics) {
  forward(team, in, scale, mask, outputs, statistics, Output::kAdd);
}

SoftmaxScratch softmax_forward_scratch(const Extents& extents, Index head_dim, Index workers) {
  const Index tile_len = group_count(extents.query_len) * kTileLanes;
  const Index tiles = (extents.query_len + tile_len - 1) / tile_len;
  const Index each = QueryTile::scratch(extents.query_len, head_dim);
  return {each, tiles < workers ? each : workers * each};
}

}  // namespace arena
