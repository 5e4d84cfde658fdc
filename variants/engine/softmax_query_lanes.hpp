#pragma once
// One group of queries in the forward of tiled softmax attention (tiled_softmax_forward.cpp): up to
// kLanes queries stand in the vector lanes, blocks of keys come by, so maximum, sum and rescaling
// need no reduction across lanes. For each block of keys:
//   scores^T[j][:] = sum_d key[j][d] query^T[d][:] - reference,  p = 2^scores,
//   out^T[d][:] += sum_j value[j][d] p[j][:],  sum += sum_j p[j][:].
// The reference is the largest score of the first block that a row sees. It moves, and out and sum
// are rescaled, only when a score exceeds it by more than kHeadroom: p then stays below
// 2^kHeadroom, and most blocks need neither subtraction nor rescaling.
//
// This is the part that does not depend on who multiplies: the vector units
// (softmax_vector_group.hpp) or the matrix unit (softmax_matrix_group.hpp).

#include <cmath>
#include <limits>
#include <numbers>

#include "harness/layers/micro_kernel.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena::softmax_forward_detail {

using simd::Vec;

constexpr float kHeadroom = 8;  // in units of log2

template <int Vectors>
struct Lanes {
  Vec at[Vectors];
};

/// out[d * kLanes + i] = scale * from(first + i, d), zero for i in [count, kLanes).
template <Index kLanes>
void pack_lanes(const ConstView& from, Range rows, float scale, float* out) {
  if (rows.size() < kLanes) std::fill_n(out, from.cols() * kLanes, 0.0F);
  copy_transposed(from.data() + rows.begin * from.outerStride(), from.outerStride(), rows.size(),
                  from.cols(), scale, out, kLanes);
}

/// kRows: of a tile of out^T.
template <int kVectorsOfGroup, Index kRows>
class QueryLanes {
 public:
  static constexpr int kVectors = kVectorsOfGroup;
  static constexpr Index kLanes = kVectors * simd::kWidth;

  const Range& queries() const { return queries_; }

  /// What moves with the references of lanes.
  struct Move {
    bool any = false;
    bool rescales = false;
    Lanes<kVectors> shifts;   // scores minus these
    Lanes<kVectors> factors;  // what the group has, times these
  };

  /// The largest of each lane of no scores.
  template <int Vectors>
  static Lanes<Vectors> least() {
    Lanes<Vectors> maxima;
    for (Vec& x : maxima.at) x = Vec(kNoReference);
    return maxima;
  }
  /// The largest of each lane of scores [count][Vectors].
  template <int Vectors>
  static Lanes<Vectors> maxima_of(const float* scores, Index count) {
    Lanes<Vectors> maxima = least<Vectors>();
    raise(maxima, scores, {0, count});
    return maxima;
  }

  /// Moves the reference of lanes that have none yet or whose scores exceed it too far.
  void move_reference(const Lanes<kVectors>& maxima, Move& move) const {
    const Vec zero(0.0F), one(1.0F), unset(kNoReference), headroom(kHeadroom);
    simd::Mask moves[kVectors];
    move.any = move.rescales = false;
    for (int c = 0; c < kVectors; ++c) {
      const auto is_unset = simd::load(reference_ + c * simd::kWidth) == unset;
      moves[c] = maxima.at[c] > simd::select(is_unset, unset, headroom);
      move.any = move.any || simd::any(moves[c]);
    }
    if (!move.any) return;
    for (int c = 0; c < kVectors; ++c) {
      float* const place = reference_ + c * simd::kWidth;
      const Vec old = simd::load(place), shift = simd::select(moves[c], maxima.at[c], zero);
      const auto is_unset = old == unset;
      simd::store(place, simd::select(moves[c], simd::select(is_unset, zero, old) + shift, old));
      move.factors.at[c] = simd::select(is_unset, one, simd::exp2(zero - shift));
      move.rescales = move.rescales || simd::any(move.factors.at[c] < one);
      move.shifts.at[c] = shift;
    }
  }

  /// scores [count][Vectors] move with the references of their lanes, from vector `first` on.
  template <int Vectors>
  static void shift_scores(const Move& move, int first, float* scores, Index count) {
    Lanes<Vectors> shifts;
    std::copy_n(move.shifts.at + first, Vectors, shifts.at);
    for (Index j = 0; j < count; ++j) {
      for (int c = 0; c < Vectors; ++c) {
        float* const place = scores + (j * Vectors + c) * simd::kWidth;
        simd::store(place, simd::load(place) - shifts.at[c]);
      }
    }
  }

  void finish(const HeadOutputs& outputs, View statistics) const {
    if (!has_out_) clear_out();
    const Index first = queries_.begin, count = queries_.size();
    alignas(kAlignment) float inverse[kLanes], log2_sum[kLanes], log_sum_exp[kLanes];
    for (Index lane = 0; lane < kLanes; lane += simd::kWidth) {
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
    View out = outputs.out;
    copy_transposed_by([&](Index lane) { return inverse[lane]; }, out_, kLanes, head_dim_, count,
                       out.data() + first * out.outerStride(), out.outerStride());
  }

 protected:
  void take_lanes(Workspace& workspace, Index head_dim) {
    head_dim_ = head_dim;
    out_ = workspace.take<float>(out_size(head_dim)).data();
    reference_ = workspace.take<float>(kLanes).data();
    sum_ = workspace.take<float>(kLanes).data();
  }
  static Index lanes_bytes(Index head_dim) {
    return stored_bytes<float>(out_size(head_dim)) + 2 * stored_bytes<float>(kLanes);
  }

  void start_lanes(Range queries) {
    queries_ = queries;
    has_out_ = false;
    std::fill_n(reference_, kLanes, kNoReference);
    std::fill_n(sum_, kLanes, 0.0F);
  }

 public:
  /// After start: goes on from the softmax over other keys that these rows hold.
  void resume(const ConstView& out, const ConstView& statistics) {
    const Index first = queries_.begin, count = queries_.size();
    alignas(kAlignment) float log2_sum[kLanes] = {};
    std::copy_n(statistics.data() + first, count, reference_);
    std::copy_n(statistics.data() + statistics.outerStride() + first, count, log2_sum);
    pack_lanes<kLanes>(out, queries_, 1, out_);
    has_out_ = true;
    for (Index lane = 0; lane < kLanes; lane += simd::kWidth) {
      const auto is_unset = simd::load(reference_ + lane) == Vec(kNoReference);
      const Vec sum = simd::select(is_unset, Vec(0.0F), simd::exp2(simd::load(log2_sum + lane)));
      simd::store(sum_ + lane, sum);
      for (Index d = 0; d < head_dim_; ++d) {
        float* const place = out_ + d * kLanes + lane;
        simd::store(place, simd::load(place) * sum);
      }
    }
  }

 protected:
  /// maxima, or larger ones among these rows of scores [][Vectors].
  template <int Vectors>
  ARENA_INLINE static void raise(Lanes<Vectors>& maxima, const float* scores, Range rows) {
    for (Index j = rows.begin; j < rows.end; ++j) {
      for (int c = 0; c < Vectors; ++c) {
        maxima.at[c] =
            simd::maximum(maxima.at[c], simd::load(scores + (j * Vectors + c) * simd::kWidth));
      }
    }
  }

  /// What scores start at.
  Vec start_of_scores(int vector) const {
    const Vec reference = simd::load(reference_ + vector * simd::kWidth), zero(0.0F);
    return simd::select(reference == Vec(kNoReference), zero, zero - reference);
  }

  void clear_out() const { std::fill_n(out_, out_size(head_dim_), 0.0F); }

  static Index out_size(Index head_dim) { return round_up(head_dim, kRows) * kLanes; }

  /// out and sum *= factors, each lane by its own.
  void rescale(const Move& move) const {
    if (!move.rescales) return;
    for (int c = 0; c < kVectors; ++c) {
      const auto scale = [&](float* place) {
        simd::store(place, simd::load(place) * move.factors.at[c]);
      };
      scale(sum_ + c * simd::kWidth);
      for (Index d = 0; d < head_dim_; ++d) scale(out_ + d * kLanes + c * simd::kWidth);
    }
  }

  Index head_dim_ = 0;
  Range queries_{};
  float* out_ = nullptr;        // [head_dim in whole tiles][kLanes]
  float* reference_ = nullptr;  // [kLanes]; kNoReference until the row has seen a key
  float* sum_ = nullptr;        // [kLanes]
  /// Until then out_ counts as zero: the first product writes it.
  mutable bool has_out_ = false;
};

}  // namespace arena::softmax_forward_detail
