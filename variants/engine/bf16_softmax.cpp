// On the matrix unit the tiles of softmax_forward_tiles.hpp. Elsewhere, by dot products of pairs,
// tiles of queries against blocks of keys in the same order; key and value are packed into pairs of
// bfloat16 once per call, half their bytes: packing a block again for every tile of queries took a
// tenth of the time, waiting for rows that stand far apart.

#include "variants/engine/bf16_softmax.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "harness/layers/micro_kernel.hpp"
#include "variants/engine/bf16_kernel.hpp"
#include "variants/engine/softmax_forward_tiles.hpp"
#include "variants/engine/softmax_matrix_group.hpp"

namespace arena {
namespace {

using bf16::kLanes;
using bf16::Pair;

constexpr Index kKeyBlock = 128;

/// Groups of kLanes queries per tile: many share each visit of a block of keys where there are
/// queries enough to leave tiles for all threads. A function of query_len only.
constexpr Index kGroupsMin = 4;
constexpr Index kGroupsMax = 16;
Index group_count(Index query_len) {
  return std::clamp(query_len / (8 * kLanes), kGroupsMin, kGroupsMax);
}

bf16::FloatRows float_rows(const ConstView& from, Range rows) {
  return {from.data() + rows.begin * from.outerStride(), from.outerStride(), rows.size(),
          from.cols()};
}

/// Key in pack_rows, value in pack_row_pairs.
struct PackedKeys {
  PackedKeys(const Team& team, const HeadInputs& in) {
    const Index head_dim = in.key.cols();
    key_len = in.key.rows();
    key_width = bf16::pair_width(head_dim);
    value_width = round_up(head_dim, bf16::kPackWidth);
    key = team.workspace().take<Pair>(key_pairs(key_len, head_dim)).data();
    value = team.workspace().take<Pair>(value_pairs(key_len, head_dim)).data();
    team.for_each((key_len + kKeyBlock - 1) / kKeyBlock, [&](Index block, const Team&) {
      const Range keys{block * kKeyBlock, std::min((block + 1) * kKeyBlock, key_len)};
      bf16::pack_rows(float_rows(in.key, keys), key + keys.begin * key_width);
      bf16::pack_row_pairs(float_rows(in.value, keys), value + keys.begin / 2 * value_width);
    });
  }
  static Index bytes(Index count, Index head_dim) {
    return stored_bytes<Pair>(key_pairs(count, head_dim)) +
           stored_bytes<Pair>(value_pairs(count, head_dim));
  }

  Pair *key, *value;
  Index key_len;
  Index key_width, value_width;  // pairs per row of each

 private:
  static Index key_pairs(Index count, Index head_dim) { return count * bf16::pair_width(head_dim); }
  static Index value_pairs(Index count, Index head_dim) {
    return (count + 1) / 2 * round_up(head_dim, bf16::kPackWidth);
  }
};

struct Group {
  Pair* query;  // [pairs][kLanes]
  float* out;   // [head_dim in whole register tiles][kLanes]
  bf16::Online* online;
  Range queries{};
};

class QueryTile {
 public:
  QueryTile(Workspace& workspace, const ConstView& query, const PackedKeys& keys,
            const TileMask& mask, float scale)
      : query_(query), keys_(keys), mask_(mask), scale_(scale), head_dim_(query.cols()) {
    for (Index g = 0; g < group_count(query.rows()); ++g) {
      groups_[g] = {.query = workspace.take<Pair>(query_pairs(head_dim_)).data(),
                    .out = workspace.take<float>(out_floats(head_dim_)).data(),
                    .online = workspace.take<bf16::Online>(1).data()};
    }
    scores_ = workspace.take<float>(kKeyBlock * kLanes).data();
    weights_ = workspace.take<Pair>(weight_pairs(head_dim_)).data();
  }

  static Index scratch(Index query_len, Index head_dim) {
    const Index group = stored_bytes<Pair>(query_pairs(head_dim)) +
                        stored_bytes<float>(out_floats(head_dim)) + stored_bytes<bf16::Online>(1);
    return group_count(query_len) * group + stored_bytes<float>(kKeyBlock * kLanes) +
           stored_bytes<Pair>(weight_pairs(head_dim));
  }

  void run(Range queries, const HeadOutputs& outputs, View& statistics) {
    start(queries);
    const Range hull = mask_.keys_of(queries, {0, keys_.key_len});
    for (Index j = hull.begin - hull.begin % 2; j < hull.end; j += kKeyBlock) {
      visit({j, std::min(j + kKeyBlock, hull.end)});
    }
    for (Index g = 0; g < count_; ++g) finish(groups_[g], outputs, statistics);
  }

 private:
  static Index query_pairs(Index head_dim) { return (head_dim + 1) / 2 * kLanes; }
  static Index out_floats(Index head_dim) { return round_up(head_dim, bf16::kTileRows) * kLanes; }
  /// A block's weights; before them a group of queries that is to be transposed.
  static Index weight_pairs(Index head_dim) {
    return kLanes * std::max(kKeyBlock / 2, bf16::pair_width(head_dim));
  }

  void start(Range queries) {
    count_ = (queries.size() + kLanes - 1) / kLanes;
    for (Index g = 0; g < count_; ++g) {
      Group& group = groups_[g];
      const Index begin = queries.begin + g * kLanes;
      group.queries = {begin, std::min(begin + kLanes, queries.end)};
      bf16::pack_lanes(float_rows(query_, group.queries), weights_, group.query);
      std::fill_n(group.out, out_floats(head_dim_), 0.0F);
      group.online->start();
    }
  }

  void visit(Range block) {
    for (Index g = 0; g < count_; ++g) {
      const Group& group = groups_[g];
      Range seen = mask_.keys_of(group.queries, block);
      if (seen.empty()) continue;
      seen.begin -= seen.begin % 2;  // values stand in pairs; the mask hides a key too many
      const Cover cover = mask_.cover(group.queries, seen);
      if (cover == Cover::kNone) continue;
      alignas(kAlignment) float largest[kLanes];
      bf16::score(keys_.key + seen.begin * keys_.key_width, seen.size(), group.query, head_dim_,
                  scores_, largest);
      if (cover == Cover::kSome) {
        mask_.hide(group.queries, seen, {scores_, 1, kLanes});
        bf16::find_largest(scores_, seen.size(), largest);
      }
      const bool grown =
          bf16::exponentiate(scores_, seen.size(), scale_ * std::numbers::log2e_v<float>, largest,
                             *group.online, weights_);
      bf16::accumulate(keys_.value + seen.begin / 2 * keys_.value_width, head_dim_, weights_,
                       seen.size(), *group.online, grown, group.out);
    }
  }

  void finish(const Group& group, const HeadOutputs& outputs, View& statistics) const {
    const Index first = group.queries.begin, count = group.queries.size();
    View out = outputs.out, log_sum_exp = outputs.log_sum_exp;
    float inverse[kLanes];
    for (Index lane = 0; lane < kLanes; ++lane) {
      const float sum = group.online->sum[lane], maximum = group.online->maximum[lane];
      const bool empty = sum == 0;  // the largest weight of a row with a key is about 1
      const float log2_sum = empty ? 0 : std::log2(sum);
      inverse[lane] = empty ? 0 : 1 / sum;
      if (lane >= count) continue;
      if (!log_sum_exp.empty()) {
        log_sum_exp(first + lane, 0) = empty ? -std::numeric_limits<float>::infinity()
                                             : (maximum + log2_sum) * std::numbers::ln2_v<float>;
      }
      if (!statistics.empty()) {
        statistics(0, first + lane) = maximum;
        statistics(1, first + lane) = log2_sum;
      }
    }
    copy_transposed_by([&](Index lane) { return inverse[lane]; }, group.out, kLanes, head_dim_,
                       count, out.data() + first * out.outerStride(), out.outerStride());
  }

  const ConstView& query_;
  const PackedKeys& keys_;
  const TileMask& mask_;
  float scale_;
  Index head_dim_;
  Index count_ = 0;
  Group groups_[kGroupsMax];
  float* scores_;  // [kKeyBlock][kLanes]
  Pair* weights_;  // [kKeyBlock / 2][kLanes]
};

/// A copy rounded to bfloat16, in the workspace.
ConstView rounded_copy(Workspace& workspace, const ConstView& from) {
  View copy = workspace.matrix(from.rows(), from.cols());
  for (Index i = 0; i < from.rows(); ++i) {
    const float* const row = from.data() + i * from.outerStride();
    for (Index d = 0; d < from.cols(); ++d) copy(i, d) = bf16::rounded(row[d]);
  }
  return copy;
}

Index rounded_bytes(const Extents& extents, Index head_dim) {
  return stored_bytes<float>(extents.query_len * head_dim) +
         2 * stored_bytes<float>(extents.key_len * head_dim);
}

#ifdef ARENA_HAS_MATRIX_UNIT
using MatrixGroup = softmax_forward_detail::MatrixGroup<1>;
#endif

}  // namespace

void bf16_softmax_forward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                          HeadOutputs outputs, View statistics) {
#ifdef ARENA_HAS_MATRIX_UNIT
  if (matrix_unit::available()) {
    softmax_forward_detail::run_forward<MatrixGroup>(team, {in, &mask, outputs, {statistics}},
                                                     scale, Output::kOverwrite);
    return;
  }
#endif
  const Index query_len = in.query.rows(), tile_len = group_count(query_len) * kLanes;
  const WorkspaceScope packed(team.workspace());
  const PackedKeys keys(team, in);
  team.for_each((query_len + tile_len - 1) / tile_len, [&](Index t, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    QueryTile tile(worker.workspace(), in.query, keys, mask, scale);
    tile.run({t * tile_len, std::min((t + 1) * tile_len, query_len)}, outputs, statistics);
  });
}

void bf16_softmax_backward(const Team& team, const HeadInputs& in, float scale,
                           const TileMask& mask, const HeadOutputGrads& d_outputs,
                           const ConstView& statistics, HeadGrads d_in) {
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  const HeadInputs at{rounded_copy(workspace, in.query), rounded_copy(workspace, in.key),
                      rounded_copy(workspace, in.value)};
  softmax_backward(team, at, scale, mask, d_outputs, statistics, d_in);
}

SoftmaxScratch bf16_softmax_forward_scratch(const Extents& extents, Index head_dim, Index workers) {
#ifdef ARENA_HAS_MATRIX_UNIT
  if (matrix_unit::available()) {
    return softmax_forward_detail::forward_scratch<MatrixGroup>(extents, head_dim, workers);
  }
#endif
  const Index tile_len = group_count(extents.query_len) * kLanes;
  const Index tiles = (extents.query_len + tile_len - 1) / tile_len;
  const Index each = QueryTile::scratch(extents.query_len, head_dim);
  const Index packed = PackedKeys::bytes(extents.key_len, head_dim);
  return {packed + each, packed + (tiles < workers ? each : workers * each)};
}

SoftmaxScratch bf16_softmax_backward_scratch(const Extents& extents, Index head_dim,
                                             Index chunk_reach, Index workers) {
  const SoftmaxScratch engine = softmax_backward_scratch(extents, head_dim, chunk_reach, workers);
  const Index copies = rounded_bytes(extents, head_dim);
  return {engine.caller + copies, engine.total + copies};
}

}  // namespace arena
