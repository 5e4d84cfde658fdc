#pragma once
// One group of queries in the forward of tiled softmax attention (tiled_softmax_forward.cpp): up to
// kTileLanes queries stand in the vector lanes, blocks of keys come by, so maximum, sum and
// rescaling need no reduction across lanes.
//
// query^T is packed once (scaled, in units of log2); for each block of keys:
//   scores^T[j][:] = sum_d key[j][d] query^T[d][:] - reference,  p = 2^scores,
//   out^T[d][:] += sum_j value[j][d] p[j][:],  sum += sum_j p[j][:].
// The reference is the largest score of the first block that a row sees. It moves, and out and sum
// are rescaled, only when a score exceeds it by more than kHeadroom: p then stays below
// 2^kHeadroom, and most blocks need neither subtraction nor rescaling.

#include <cmath>
#include <limits>
#include <numbers>

#include "variants/engine/softmax_weft.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena::softmax_forward_detail {

using simd::Vec;

constexpr Index kKeyBlock = 128 / kTileRows * kTileRows;
constexpr float kHeadroom = 8;  // in units of log2

template <int Vectors>
struct Lanes {
  Vec at[Vectors];
};

/// The first kRows rows of values, if any, and a row of ones below them, whose product is the sum.
template <int kRows>
struct OnesBelow {
  ColumnOperand rows;

  ARENA_INLINE float at(int r, Index t) const { return r < kRows ? rows.at(r, t) : 1.0F; }
};
/// Where registers are few, the sum takes a tile of its own.
constexpr int kRowsBesideOnes = simd::kManyRegisters ? kTileRows : 0;

/// What a block of keys adds to a group.
struct BlockSum {
  Rows value{};
  const float* p = nullptr;  // [count][kTileLanes]
  Index count = 0;           // of keys
  bool rescale = false;
  Lanes<kTileVectors> factors{};  // of what the group has, where it must be rescaled
};

class QueryGroup {
 public:
  void take(Workspace& workspace, Index head_dim) {
    head_dim_ = head_dim;
    query_ = workspace.take<float>(head_dim * kTileLanes).data();
    out_ = workspace.take<float>(round_up(head_dim, kTileRows) * kTileLanes).data();
    reference_ = workspace.take<float>(kTileLanes).data();
    sum_ = workspace.take<float>(kTileLanes).data();
  }
  static Index bytes(Index head_dim) {
    return stored_bytes<float>(head_dim * kTileLanes) +
           stored_bytes<float>(round_up(head_dim, kTileRows) * kTileLanes) +
           2 * stored_bytes<float>(kTileLanes);
  }

  const Range& queries() const { return queries_; }

  void start(const ConstView& query, Range queries, float scale) {
    queries_ = queries;
    pack_transposed(query, queries.begin, queries.size(), scale * std::numbers::log2e_v<float>,
                    query_);
    std::fill_n(out_, round_up(head_dim_, kTileRows) * kTileLanes, 0.0F);
    std::fill_n(reference_, kTileLanes, kNoReference);
    std::fill_n(sum_, kTileLanes, 0.0F);
  }

  /// After start(): goes on from the softmax over other keys that these rows hold.
  void resume(const ConstView& out, const ConstView& statistics) {
    const Index first = queries_.begin, count = queries_.size();
    alignas(kAlignment) float log2_sum[kTileLanes] = {};
    std::copy_n(statistics.data() + first, count, reference_);
    std::copy_n(statistics.data() + statistics.outerStride() + first, count, log2_sum);
    pack_transposed(out, first, count, 1, out_);
    for (Index lane = 0; lane < kTileLanes; lane += simd::kWidth) {
      const auto is_unset = simd::load(reference_ + lane) == Vec(kNoReference);
      const Vec sum = simd::select(is_unset, Vec(0.0F), simd::exp2(simd::load(log2_sum + lane)));
      simd::store(sum_ + lane, sum);
      for (Index d = 0; d < head_dim_; ++d) {
        float* const place = out_ + d * kTileLanes + lane;
        simd::store(place, simd::load(place) * sum);
      }
    }
  }

  /// scores[j][:] = <key_j, query> - reference; returns the largest of each lane.
  template <int Vectors>
  Lanes<Vectors> score(const Rows& key, Index count, float* scores) const {
    Lanes<Vectors> maxima, start;
    for (int c = 0; c < Vectors; ++c) {
      const Vec reference = simd::load(reference_ + c * simd::kWidth), zero(0.0F);
      start.at[c] = simd::select(reference == Vec(kNoReference), zero, zero - reference);
      maxima.at[c] = Vec(kNoReference);
    }
    for (Index j = 0; j < count; j += kTileRows) {
      Accumulators<Vectors> tile;
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA { tile.at[r][c] = start.at[c]; });
      tile.multiply_add(RowTile{key.data + j * key.stride, key.stride}, query_, kTileLanes,
                        head_dim_);
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        maxima.at[c] = simd::maximum(maxima.at[c], tile.at[r][c]);
      });
      tile.store(scores + j * kTileLanes, kTileLanes);
    }
    return maxima;
  }

  /// The largest of each lane, of scores that something was taken out of.
  template <int Vectors>
  static Lanes<Vectors> maxima_of(const float* scores, Index count) {
    Lanes<Vectors> maxima;
    for (Vec& x : maxima.at) x = Vec(kNoReference);
    for (Index j = 0; j < count; ++j) {
      for (int c = 0; c < Vectors; ++c) {
        maxima.at[c] =
            simd::maximum(maxima.at[c], simd::load(scores + j * kTileLanes + c * simd::kWidth));
      }
    }
    return maxima;
  }

  /// Moves the reference of lanes that have none yet or whose scores exceed it too far, scores with
  /// it; `block` then tells how to rescale what the group has.
  template <int Vectors>
  void move_reference(const Lanes<Vectors>& maxima, float* scores, BlockSum& block) const {
    const Vec zero(0.0F), one(1.0F), unset(kNoReference), headroom(kHeadroom);
    Lanes<Vectors> shifts;
    for (int c = 0; c < Vectors; ++c) {
      const Vec maximum = maxima.at[c];
      float* const place = reference_ + c * simd::kWidth;
      const Vec old = simd::load(place);
      const auto is_unset = old == unset;
      const auto moves = maximum > simd::select(is_unset, unset, headroom);
      shifts.at[c] = simd::select(moves, maximum, zero);
      const Vec moved = simd::select(is_unset, zero, old) + maximum;
      simd::store(place, simd::select(moves, moved, old));
      block.factors.at[c] = simd::select(is_unset, one, simd::exp2(zero - shifts.at[c]));
      block.rescale = block.rescale || simd::any(moves);
    }
    if (!block.rescale) return;
    for (Index j = 0; j < block.count; ++j) {
      for (int c = 0; c < Vectors; ++c) {
        float* const place = scores + j * kTileLanes + c * simd::kWidth;
        simd::store(place, simd::load(place) - shifts.at[c]);
      }
    }
  }

  /// out^T = factors out^T + value^T p, and the same with ones for the sum. A block's own sums
  /// start at zero: more accurate.
  template <int Vectors, class Weft>
  Weft add(const BlockSum& block, Weft weft) const {
    const ColumnOperand value{block.value.data, block.value.stride};
    const auto add_tile = [&](auto& tile, const auto& rows,
                              const auto& place_of_row) ARENA_INLINE_LAMBDA {
      tile.clear();
      tile.multiply_add(rows, block.p, kTileLanes, block.count, weft);
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        float* const place = place_of_row(r) + c * simd::kWidth;
        const Vec before = simd::load(place);
        simd::store(place, block.rescale ? before * block.factors.at[c] + tile.at[r][c]
                                         : before + tile.at[r][c]);
      });
    };
    Accumulators<Vectors, kRowsBesideOnes + 1> first;
    add_tile(first, OnesBelow<kRowsBesideOnes>{value}, [&](int r) ARENA_INLINE_LAMBDA {
      return r < kRowsBesideOnes ? out_ + r * kTileLanes : sum_;
    });
    for (Index d = kRowsBesideOnes; d < head_dim_; d += kTileRows) {
      Accumulators<Vectors> tile;
      add_tile(tile, ColumnOperand{value.data + d, value.stride},
               [&](int r) ARENA_INLINE_LAMBDA { return out_ + (d + r) * kTileLanes; });
    }
    return weft;
  }

  void finish(const HeadOutputs& outputs, View& statistics) const {
    const Index first = queries_.begin, count = queries_.size();
    alignas(kAlignment) float inverse[kTileLanes], log2_sum[kTileLanes], log_sum_exp[kTileLanes];
    for (Index lane = 0; lane < kTileLanes; lane += simd::kWidth) {
      const Vec sum = simd::load(sum_ + lane), zero(0.0F);
      const auto empty = sum < Vec(0.5F);  // a row with a key has a sum of at least 1
      const Vec log2 = simd::select(empty, zero, simd::log2(sum));
      const Vec log = (simd::load(reference_ + lane) + log2) * Vec(std::numbers::ln2_v<float>);
      simd::store(inverse + lane, simd::select(empty, zero, Vec(1.0F) / sum));
      simd::store(log2_sum + lane, log2);
      simd::store(log_sum_exp + lane,
                  simd::select(empty, Vec(-std::numeric_limits<float>::infinity()), log));
    }
    if (View wanted = outputs.log_sum_exp; !wanted.empty()) {
      for (Index i = 0; i < count; ++i) wanted(first + i, 0) = log_sum_exp[i];
    }
    if (!statistics.empty()) {
      std::copy_n(reference_, count, &statistics(0, first));
      std::copy_n(log2_sum, count, &statistics(1, first));
    }
    for (Index d = 0; d < head_dim_; ++d) {
      for (Index lane = 0; lane < kTileLanes; lane += simd::kWidth) {
        float* const place = out_ + d * kTileLanes + lane;
        simd::store(place, simd::load(place) * simd::load(inverse + lane));
      }
    }
    View out = outputs.out;
    copy_transposed(out_, kTileLanes, head_dim_, count, 1, out.data() + first * out.outerStride(),
                    out.outerStride());
  }

 private:
  Index head_dim_ = 0;
  Range queries_{};
  float* query_ = nullptr;      // [head_dim][kTileLanes]
  float* out_ = nullptr;        // [head_dim in whole register tiles][kTileLanes]
  float* reference_ = nullptr;  // [kTileLanes]; kNoReference until the row has seen a key
  float* sum_ = nullptr;        // [kTileLanes]
};

}  // namespace arena::softmax_forward_detail
