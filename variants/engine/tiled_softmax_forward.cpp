// Forward of tiled softmax attention, scores transposed: queries stand in the vector lanes, so
// maximum, sum and rescaling need no reduction across lanes.
//
// A tile of queries is cut into groups of kTileLanes. Each group holds query^T [head_dim][lanes]
// (scaled), out^T [head_dim][lanes], row maximum and row sum. For each block of keys:
//   scores^T[j][:] = sum_d key[j][d] query^T[d][:],  p = 2^(scores - maximum),
//   out^T[d][:] = 2^(old maximum - maximum) out^T[d][:] + sum_j value[j][d] p[j][:].

#include <cmath>
#include <limits>
#include <numbers>

#include "harness/layers/micro_kernel.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

using simd::Vec;

/// Groups per tile: more of them share each visit of a block of keys where there are queries enough
/// to leave tiles for all threads. A function of query_len only.
constexpr Index kGroupsMin = std::max(Index{1}, 128 / kTileLanes);
constexpr Index kGroupsMax = 4 * kGroupsMin;
Index group_count(Index query_len) {
  return std::clamp(query_len / (8 * kTileLanes), kGroupsMin, kGroupsMax);
}

constexpr Index kKeyBlock = 128 / kTileRows * kTileRows;

/// One group's running state, each row kTileLanes wide.
struct Group {
  float* query;    // [head_dim]
  float* out;      // [head_dim rounded up to kTileRows]
  float* maximum;  // [1]; starts at the lowest finite number, so that -inf minus it is -inf
  float* sum;      // [1]
  Range queries{};
};

class QueryTile {
 public:
  QueryTile(Workspace& workspace, const HeadInputs& in, const TileMask& mask, float scale)
      : in_(in), mask_(mask), scale_(scale), head_dim_(in.query.cols()) {
    const Index groups = group_count(in.query.rows());
    const Index width = round_up(head_dim_, kTileRows);
    for (Index g = 0; g < groups; ++g) {
      Group& group = groups_[g];
      group.query = workspace.take<float>(head_dim_ * kTileLanes).data();
      group.out = workspace.take<float>(width * kTileLanes).data();
      group.maximum = workspace.take<float>(kTileLanes).data();
      group.sum = workspace.take<float>(kTileLanes).data();
    }
    scores_ = workspace.take<float>(kKeyBlock * kTileLanes).data();
    key_space_ = workspace.take<float>(kKeyBlock * width).data();
    value_space_ = workspace.take<float>(kKeyBlock * width).data();
  }

  static Index scratch(Index query_len, Index head_dim) {
    const Index width = round_up(head_dim, kTileRows);
    return group_count(query_len) *
               (stored_bytes<float>(head_dim * kTileLanes) +
                stored_bytes<float>(width * kTileLanes) + 2 * stored_bytes<float>(kTileLanes)) +
           stored_bytes<float>(kKeyBlock * kTileLanes) + 2 * stored_bytes<float>(kKeyBlock * width);
  }

  void run(Range queries, const HeadOutputs& outputs, View& statistics) {
    start(queries);
    const Range hull = mask_.keys_of(queries);
    for (Index j = hull.begin; j < hull.end; j += kKeyBlock) {
      visit({j, std::min(j + kKeyBlock, hull.end)});
    }
    for (Index g = 0; g < count_; ++g) finish(groups_[g], outputs, statistics);
  }

 private:
  void start(Range queries) {
    count_ = (queries.size() + kTileLanes - 1) / kTileLanes;
    for (Index g = 0; g < count_; ++g) {
      Group& group = groups_[g];
      const Index begin = queries.begin + g * kTileLanes;
      group.queries = {begin, std::min(begin + kTileLanes, queries.end)};
      pack_transposed(in_.query, begin, group.queries.size(), scale_ * std::numbers::log2e_v<float>,
                      group.query);
      std::fill_n(group.out, round_up(head_dim_, kTileRows) * kTileLanes, 0.0F);
      std::fill_n(group.maximum, kTileLanes, std::numeric_limits<float>::lowest());
      std::fill_n(group.sum, kTileLanes, 0.0F);
    }
  }

  void visit(Range block) {
    const Rows keys = contiguous_rows(in_.key, block.begin, block.size(), key_space_);
    const Rows values = contiguous_rows(in_.value, block.begin, block.size(), value_space_);
    for (Index g = 0; g < count_; ++g) {
      const Group& group = groups_[g];
      const Range seen = intersection(mask_.keys_of(group.queries), block);
      if (seen.empty()) continue;
      const Cover cover = mask_.cover(group.queries, seen);
      if (cover == Cover::kNone) continue;
      const Index skipped = seen.begin - block.begin;
      const Rows key{keys.data + skipped * keys.stride, keys.stride};
      const Rows value{values.data + skipped * values.stride, values.stride};
      with_vectors(group.queries.size(), [&]<int Vectors>() {
        Maxima maxima = score<Vectors>(group, key, seen.size());
        if (cover == Cover::kSome) maxima = hide<Vectors>(group, seen);
        const bool grown = exponentiate<Vectors>(group, maxima, seen.size());
        accumulate<Vectors>(group, value, seen.size(), grown);
      });
    }
  }

  struct Maxima {
    Vec at[kTileVectors];
  };

  /// scores[j][:] = <key_j, query>; returns the largest of each lane.
  template <int Vectors>
  Maxima score(const Group& group, const Rows& key, Index count) {
    Maxima maxima;
    for (Vec& x : maxima.at) x = Vec(std::numeric_limits<float>::lowest());
    for (Index j = 0; j < count; j += kTileRows) {
      Accumulators<Vectors> tile;
      tile.clear();
      tile.multiply_add(RowOperand(key.data + j * key.stride, key.stride, count - j), group.query,
                        kTileLanes, head_dim_);
      for (int r = 0; r < kTileRows; ++r) {
        for (int c = 0; c < Vectors; ++c) {
          maxima.at[c] = simd::maximum(maxima.at[c], tile.at[r][c]);
        }
      }
      tile.store(scores_ + j * kTileLanes, kTileLanes);
    }
    return maxima;
  }

  /// Takes out of the scores what the mask does not show; returns the largest that are left.
  template <int Vectors>
  Maxima hide(const Group& group, Range keys) {
    mask_.hide(group.queries, keys, {scores_, 1, kTileLanes});
    Maxima maxima;
    for (Vec& x : maxima.at) x = Vec(std::numeric_limits<float>::lowest());
    for (Index j = 0; j < keys.size(); ++j) {
      for (int c = 0; c < Vectors; ++c) {
        maxima.at[c] =
            simd::maximum(maxima.at[c], simd::load(scores_ + j * kTileLanes + c * simd::kWidth));
      }
    }
    return maxima;
  }

  /// scores = 2^(scores - new maximum), added to the row sums; factors_ = 2^(old - new maximum).
  /// Returns whether any maximum grew.
  template <int Vectors>
  bool exponentiate(const Group& group, const Maxima& maxima, Index count) {
    Vec maximum[Vectors], sum[Vectors];
    bool grown = false;
    for (int c = 0; c < Vectors; ++c) {
      const Index lane = c * simd::kWidth;
      const Vec old = simd::load(group.maximum + lane);
      maximum[c] = simd::maximum(old, maxima.at[c]);
      factors_[c] = simd::exp2(old - maximum[c]);
      grown = grown || simd::any(old < maximum[c]);
      sum[c] = simd::load(group.sum + lane) * factors_[c];
      simd::store(group.maximum + lane, maximum[c]);
    }
    for (Index j = 0; j < count; ++j) {
      for (int c = 0; c < Vectors; ++c) {
        float* const place = scores_ + j * kTileLanes + c * simd::kWidth;
        const Vec p = simd::exp2(simd::load(place) - maximum[c]);
        simd::store(place, p);
        sum[c] = sum[c] + p;
      }
    }
    for (int c = 0; c < Vectors; ++c) simd::store(group.sum + c * simd::kWidth, sum[c]);
    return grown;
  }

  template <int Vectors>
  void accumulate(const Group& group, const Rows& value, Index count, bool grown) const {
    for (Index d = 0; d < head_dim_; d += kTileRows) {
      Accumulators<Vectors> tile;
      float* const out = group.out + d * kTileLanes;
      tile.load(out, kTileLanes);
      if (grown) {
        for (int r = 0; r < kTileRows; ++r) {
          for (int c = 0; c < Vectors; ++c) tile.at[r][c] = tile.at[r][c] * factors_[c];
        }
      }
      tile.multiply_add(ColumnOperand{value.data + d, value.stride}, scores_, kTileLanes, count);
      tile.store(out, kTileLanes);
    }
  }

  void finish(const Group& group, const HeadOutputs& outputs, View& statistics) const {
    const Index first = group.queries.begin, count = group.queries.size();
    View out = outputs.out, log_sum_exp = outputs.log_sum_exp;
    alignas(kAlignment) float inverse[kTileLanes];
    for (Index lane = 0; lane < kTileLanes; ++lane) {
      const float sum = group.sum[lane];
      const bool empty = sum == 0;  // a row with a key has a sum of at least 1
      const float log2_sum = empty ? 0 : std::log2(sum);
      inverse[lane] = empty ? 0 : 1 / sum;
      if (lane >= count) continue;
      if (!log_sum_exp.empty()) {
        log_sum_exp(first + lane, 0) =
            empty ? -std::numeric_limits<float>::infinity()
                  : (group.maximum[lane] + log2_sum) * std::numbers::ln2_v<float>;
      }
      if (!statistics.empty()) {
        statistics(0, first + lane) = group.maximum[lane];
        statistics(1, first + lane) = log2_sum;
      }
    }
    for (Index d = 0; d < head_dim_; ++d) {
      for (int c = 0; c < kTileVectors; ++c) {
        float* const place = group.out + d * kTileLanes + c * simd::kWidth;
        simd::store(place, simd::load(place) * simd::load(inverse + c * simd::kWidth));
      }
    }
    copy_transposed(group.out, kTileLanes, head_dim_, count, 1,
                    out.data() + first * out.outerStride(), out.outerStride());
  }

  const HeadInputs& in_;
  const TileMask& mask_;
  float scale_;
  Index head_dim_;
  Index count_ = 0;
  Group groups_[kGroupsMax];
  float* scores_;  // [kKeyBlock][kTileLanes]
  float* key_space_;
  float* value_space_;
  Vec factors_[kTileVectors];
};

}  // namespace

void softmax_forward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                     HeadOutputs outputs, View statistics) {
  const Index query_len = in.query.rows(), tile_len = group_count(query_len) * kTileLanes;
  team.for_each((query_len + tile_len - 1) / tile_len, [&](Index t, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    QueryTile tile(worker.workspace(), in, mask, scale);
    tile.run({t * tile_len, std::min((t + 1) * tile_len, query_len)}, outputs, statistics);
  });
}

SoftmaxScratch softmax_forward_scratch(const Extents& extents, Index head_dim, Index workers) {
  const Index tile_len = group_count(extents.query_len) * kTileLanes;
  const Index tiles = (extents.query_len + tile_len - 1) / tile_len;
  const Index each = QueryTile::scratch(extents.query_len, head_dim);
  return {each, tiles < workers ? each : workers * each};
}

}  // namespace arena
