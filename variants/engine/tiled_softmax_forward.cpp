// Forward of tiled softmax attention, scores transposed: queries stand in the vector lanes, so
// maximum, sum and rescaling need no reduction across lanes.
//
// A tile of queries is cut into groups of kTileLanes. Each group holds query^T [head_dim][lanes]
// (scaled), out^T [head_dim][lanes], and for each row a reference and a sum. For each block of
// keys:
//   scores^T[j][:] = sum_d key[j][d] query^T[d][:] - reference,  p = 2^scores,
//   out^T[d][:] += sum_j value[j][d] p[j][:],  sum += sum_j p[j][:].
// The reference is the largest score of the first block that the row sees. It moves, and out and
// sum are rescaled, only when a score exceeds it by more than kHeadroom: p then stays below
// 2^kHeadroom, and most blocks need neither subtraction nor rescaling.

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
  return std::clamp(query_len / (4 * kTileLanes), kGroupsMin, kGroupsMax);
}

constexpr Index kKeyBlock = 128 / kTileRows * kTileRows;

constexpr float kHeadroom = 8;  // in units of log2
constexpr float kUnset = std::numeric_limits<float>::lowest();

/// One group's running state, each row kTileLanes wide.
struct Group {
  float* query;      // [head_dim]
  float* out;        // [head_dim rounded up to kTileRows]
  float* reference;  // [1]; kUnset until the row has seen a key
  float* sum;        // [1]
  Range queries{};
};

template <int Vectors>
struct Lanes {
  Vec at[Vectors];
};

/// Turns whole register tiles of scores into p = 2^score, two vectors at a time to hide the latency
/// of one: as the weft of a product, kPace vectors for every kUnroll steps of depth.
template <int Vectors, int kPace>
struct Exponentials {
  float* scores;
  const float* end;
  Index lane = 0;

  template <class Step>
  ARENA_INLINE void operator()(Step step) {
    if constexpr ((step + 1) % (2 * kUnroll / kPace) == 0) {
      if (scores != end) two();
    }
  }
  ARENA_INLINE void two() {
    float* const first = take();
    float* const second = take();
    const Vec x = simd::exp2(simd::load(first)), y = simd::exp2(simd::load(second));
    simd::store(first, x);
    simd::store(second, y);
  }

 private:
  ARENA_INLINE float* take() {
    float* const taken = scores;
    scores += simd::kWidth;
    if constexpr (Vectors < kTileVectors) {
      lane += simd::kWidth;
      if (lane == Vectors * simd::kWidth) {
        scores += kTileLanes - lane;
        lane = 0;
      }
    }
    return taken;
  }
};

/// A row of ones below the rows of an operand: their product is the sum of b's rows.
struct OnesBelow {
  ColumnOperand rows;

  ARENA_INLINE float at(int r, Index t) const { return r < kTileRows ? rows.at(r, t) : 1.0F; }
};

/// A group and block of keys whose scores are probabilities, waiting for the product with values.
struct Pending {
  const Group* group = nullptr;
  Rows value{};
  Index count = 0;  // of keys
  const float* p = nullptr;
  bool rescale = false;
  Lanes<kTileVectors> factors{};  // of what the group has, where it must be rescaled
};

/// body.operator()<kPace>(): vectors exponentiated per kUnroll steps of the product with values, so
/// that all are through when its head_dim / kTileRows tiles are.
template <class Body>
ARENA_INLINE void with_pace(Index head_dim, const Body& body) {
  constexpr Index kOne = kUnroll * kTileVectors * kTileRows;  // head_dim for one vector
  if (head_dim > kOne / 3) return body.template operator()<2>();
  if (head_dim > kOne / 7) return body.template operator()<4>();
  body.template operator()<8>();
}

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
      group.reference = workspace.take<float>(kTileLanes).data();
      group.sum = workspace.take<float>(kTileLanes).data();
    }
    key_space_ = workspace.take<float>(kKeyBlock * width).data();
    for (Turn& turn : turns_) {
      turn.scores = workspace.take<float>(kKeyBlock * kTileLanes).data();
      turn.value_space = workspace.take<float>(kKeyBlock * width).data();
    }
  }

  static Index scratch(Index query_len, Index head_dim) {
    const Index width = round_up(head_dim, kTileRows);
    return group_count(query_len) *
               (stored_bytes<float>(head_dim * kTileLanes) +
                stored_bytes<float>(width * kTileLanes) + 2 * stored_bytes<float>(kTileLanes)) +
           2 * stored_bytes<float>(kKeyBlock * kTileLanes) +
           3 * stored_bytes<float>(kKeyBlock * width);
  }

  void run(Range queries, const HeadOutputs& outputs, View& statistics) {
    start(queries);
    const Range hull = mask_.keys_of(queries);
    for (Index j = hull.begin; j < hull.end; j += kKeyBlock) {
      visit({j, std::min(j + kKeyBlock, hull.end)});
    }
    flush<kTileVectors>();
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
      std::fill_n(group.reference, kTileLanes, kUnset);
      std::fill_n(group.sum, kTileLanes, 0.0F);
    }
  }

  void visit(Range block) {
    // the values of the block before may still be pending, so blocks take turns
    std::swap(turns_[0].value_space, turns_[1].value_space);
    const Rows keys = contiguous_rows(in_.key, block.begin, block.size(), key_space_);
    const Rows values =
        contiguous_rows(in_.value, block.begin, block.size(), turns_[0].value_space);
    for (Index g = 0; g < count_; ++g) {
      const Group& group = groups_[g];
      const Range hull = intersection(mask_.keys_of(group.queries), block);
      if (hull.empty()) continue;
      // in whole register tiles: the mask hides the scores that are too many
      const Range seen{
          hull.begin - (hull.begin - block.begin) % kTileRows,
          std::min(block.begin + round_up(hull.end - block.begin, kTileRows), block.end)};
      const Cover cover = mask_.cover(group.queries, seen);
      if (cover == Cover::kNone) continue;
      const Index skipped = seen.begin - block.begin;
      const Rows key{keys.data + skipped * keys.stride, keys.stride};
      const Rows value{values.data + skipped * values.stride, values.stride};
      with_vectors(group.queries.size(), [&]<int Vectors>() {
        with_pace(head_dim_, [&]<int kPace>() {
          Pending next;
          next.group = &group;
          next.value = value;
          next.count = seen.size();
          attend<Vectors, kPace>(next, key, seen, cover);
        });
      });
    }
  }

  /// Scores of a group and a block of keys; their exponentials are woven into the pending product
  /// with values, then they are what is pending.
  template <int Vectors, int kPace>
  void attend(Pending next, const Rows& key, Range keys, Cover cover) {
    const Group& group = *next.group;
    std::swap(turns_[0].scores, turns_[1].scores);
    float* const scores = turns_[0].scores;
    Lanes<Vectors> maxima = score<Vectors>(group, key, next.count, scores);
    if (cover == Cover::kSome) maxima = hide<Vectors>(group, keys, scores);
    move_reference(maxima, scores, next);
    next.p = scores;
    Exponentials<Vectors, kPace> exponentials{
        scores, scores + round_up(next.count, kTileRows) * kTileLanes};
    if (pending_.group) exponentials = accumulate<kTileVectors>(pending_, exponentials);
    while (exponentials.scores != exponentials.end) exponentials.two();
    pending_ = next;
    if constexpr (Vectors < kTileVectors) flush<Vectors>();
  }

  /// Moves the reference of lanes that have none yet or whose scores exceed it too far.
  template <int Vectors>
  static void move_reference(const Lanes<Vectors>& maxima, float* scores, Pending& next) {
    const Vec zero(0.0F), one(1.0F), unset(kUnset), headroom(kHeadroom);
    Lanes<Vectors> shifts;
    for (int c = 0; c < Vectors; ++c) {
      const Vec maximum = maxima.at[c];
      float* const place = next.group->reference + c * simd::kWidth;
      const Vec old = simd::load(place);
      const auto is_unset = old == unset;
      const Vec limit = simd::select(is_unset, unset, headroom);
      const Vec shift = simd::select(maximum > limit, maximum, zero);
      const Vec moved = simd::select(is_unset, zero, old) + shift;
      simd::store(place, simd::select(maximum > limit, moved, old));
      shifts.at[c] = shift;
      next.factors.at[c] = simd::select(is_unset, one, simd::exp2(zero - shift));
      next.rescale = next.rescale || simd::any(maximum > limit);
    }
    if (!next.rescale) return;
    for (Index j = 0; j < next.count; ++j) {
      for (int c = 0; c < Vectors; ++c) {
        float* const place = scores + j * kTileLanes + c * simd::kWidth;
        simd::store(place, simd::load(place) - shifts.at[c]);
      }
    }
  }

  template <int Vectors>
  void flush() {
    if (pending_.group) accumulate<Vectors>(pending_, [](auto) {});
    pending_ = {};
  }

  /// scores[j][:] = <key_j, query> - reference; returns the largest of each lane.
  template <int Vectors>
  Lanes<Vectors> score(const Group& group, const Rows& key, Index count, float* scores) {
    Lanes<Vectors> maxima, start;
    for (int c = 0; c < Vectors; ++c) {
      const Vec reference = simd::load(group.reference + c * simd::kWidth), zero(0.0F);
      start.at[c] = simd::select(reference == Vec(kUnset), zero, zero - reference);
      maxima.at[c] = Vec(kUnset);
    }
    for (Index j = 0; j < count; j += kTileRows) {
      Accumulators<Vectors> tile;
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA { tile.at[r][c] = start.at[c]; });
      tile.multiply_add(RowTile{key.data + j * key.stride, key.stride}, group.query, kTileLanes,
                        head_dim_);
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        maxima.at[c] = simd::maximum(maxima.at[c], tile.at[r][c]);
      });
      tile.store(scores + j * kTileLanes, kTileLanes);
    }
    return maxima;
  }

  /// Takes out of the scores what the mask does not show; returns the largest that are left.
  template <int Vectors>
  Lanes<Vectors> hide(const Group& group, Range keys, float* scores) const {
    mask_.hide(group.queries, keys, {scores, 1, kTileLanes});
    Lanes<Vectors> maxima;
    for (Vec& x : maxima.at) x = Vec(kUnset);
    for (Index j = 0; j < keys.size(); ++j) {
      for (int c = 0; c < Vectors; ++c) {
        maxima.at[c] =
            simd::maximum(maxima.at[c], simd::load(scores + j * kTileLanes + c * simd::kWidth));
      }
    }
    return maxima;
  }

  /// out^T = factors out^T + value^T p, and the same with ones for the sum. A block's own sums
  /// start at zero: more accurate.
  template <int Vectors, class Weft>
  Weft accumulate(const Pending& pending, Weft weft) const {
    const Group& group = *pending.group;
    const ColumnOperand value{pending.value.data, pending.value.stride};
    const auto add = [&](const auto& rows, float* out, auto& tile) ARENA_INLINE_LAMBDA {
      tile.clear();
      tile.multiply_add(rows, pending.p, kTileLanes, pending.count, weft);
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        float* const place = (r < kTileRows ? out + r * kTileLanes : group.sum) + c * simd::kWidth;
        const Vec before = simd::load(place);
        simd::store(place, pending.rescale ? before * pending.factors.at[c] + tile.at[r][c]
                                           : before + tile.at[r][c]);
      });
    };
    Accumulators<Vectors, kTileRows + 1> with_sum;
    add(OnesBelow{value}, group.out, with_sum);
    for (Index d = kTileRows; d < head_dim_; d += kTileRows) {
      Accumulators<Vectors> tile;
      add(ColumnOperand{value.data + d, value.stride}, group.out + d * kTileLanes, tile);
    }
    return weft;
  }

  void finish(const Group& group, const HeadOutputs& outputs, View& statistics) const {
    const Index first = group.queries.begin, count = group.queries.size();
    alignas(kAlignment) float inverse[kTileLanes], log2_sum[kTileLanes], log_sum_exp[kTileLanes];
    for (Index lane = 0; lane < kTileLanes; lane += simd::kWidth) {
      const Vec sum = simd::load(group.sum + lane), zero(0.0F);
      const auto empty = sum < Vec(0.5F);  // a row with a key has a sum of at least 1
      const Vec log2 = simd::select(empty, zero, simd::log2(sum));
      const Vec log = (simd::load(group.reference + lane) + log2) * Vec(std::numbers::ln2_v<float>);
      simd::store(inverse + lane, simd::select(empty, zero, Vec(1.0F) / sum));
      simd::store(log2_sum + lane, log2);
      simd::store(log_sum_exp + lane,
                  simd::select(empty, Vec(-std::numeric_limits<float>::infinity()), log));
    }
    if (View wanted = outputs.log_sum_exp; !wanted.empty()) {
      for (Index i = 0; i < count; ++i) wanted(first + i, 0) = log_sum_exp[i];
    }
    if (!statistics.empty()) {
      std::copy_n(group.reference, count, &statistics(0, first));
      std::copy_n(log2_sum, count, &statistics(1, first));
    }
    for (Index d = 0; d < head_dim_; ++d) {
      for (Index lane = 0; lane < kTileLanes; lane += simd::kWidth) {
        float* const place = group.out + d * kTileLanes + lane;
        simd::store(place, simd::load(place) * simd::load(inverse + lane));
      }
    }
    View out = outputs.out;
    copy_transposed(group.out, kTileLanes, head_dim_, count, 1,
                    out.data() + first * out.outerStride(), out.outerStride());
  }

  /// Two of each, because a product is pending while the next scores are made.
  struct Turn {
    float* scores;  // [kKeyBlock][kTileLanes]
    float* value_space;
  };

  const HeadInputs& in_;
  const TileMask& mask_;
  float scale_;
  Index head_dim_;
  Index count_ = 0;
  Group groups_[kGroupsMax];
  float* key_space_;
  Turn turns_[2];
  Pending pending_{};
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
