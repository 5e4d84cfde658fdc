#pragma once
// One group of queries in the forward of tiled softmax attention (tiled_softmax_forward.cpp): up to
// kLanes queries stand in the vector lanes, blocks of keys come by, so maximum, sum and rescaling
// need no reduction across lanes. For each block of keys:
//   scores^T[j][:] = sum_d key[j][d] query^T[d][:] - reference,  p = 2^scores,
//   out[i][:] += sum_j p[j][i] value[j][:],  sum += sum_j p[j][:].
// The reference is zero where the largest score of the first block that a row sees lies within
// kHeadroom of it, else that score. It moves, and out and sum are rescaled, only when a score
// exceeds it by more than kHeadroom: p then stays below 2^kHeadroom, and most blocks need neither
// subtraction nor rescaling.
//
// This is the part that does not depend on who multiplies: the vector units
// (softmax_vector_group.hpp) or the matrix unit (softmax_matrix_group.hpp).

#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "harness/layers/micro_kernel.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena::softmax_forward_detail {

using simd::Vec;

constexpr int kHeadroom = 8;  // in units of log2

template <int Vectors>
struct Lanes {
  Vec at[Vectors];
};

/// How the keys that a tile of queries sees come by.
enum class Keys { kBlocks, kOneBlock };

template <int kVectorsOfGroup>
class QueryLanes {
 public:
  static constexpr int kVectors = kVectorsOfGroup;
  static constexpr Index kLanes = kVectors * simd::kWidth;

  const Range& queries() const { return queries_; }

  /// Whether outputs of queries are not yet written.
  bool waits() const { return problem_.has_value(); }

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

  /// Gives lanes that see keys for the first time a reference, zero where their scores lie around
  /// it, and moves that of lanes whose scores exceed it too far.
  void move_reference(const Lanes<kVectors>& maxima, Move& move) const {
    const Vec zero(0.0F), one(1.0F), unset(kNoReference), headroom(kHeadroom);
    simd::Mask moves[kVectors], starts[kVectors];
    move.any = move.rescales = false;
    for (int c = 0; c < kVectors; ++c) {
      float* const place = reference_ + c * simd::kWidth;
      const Vec old = simd::load(place), largest = maxima.at[c];
      starts[c] = (old == unset) & (largest > unset);
      moves[c] = (largest > headroom) | (starts[c] & (largest < zero - headroom));
      simd::store(place, simd::select(starts[c], zero, old));
      move.any = move.any || simd::any(moves[c]);
    }
    if (!move.any) return;
    for (int c = 0; c < kVectors; ++c) {
      float* const place = reference_ + c * simd::kWidth;
      const Vec shift = simd::select(moves[c], maxima.at[c], zero);
      simd::store(place, simd::load(place) + shift);
      move.factors.at[c] = simd::select(starts[c], one, simd::exp2(zero - shift));
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

 protected:
  void take_lanes(Workspace& workspace) {
    reference_ = workspace.take<float>(kLanes).data();
    sum_ = workspace.take<float>(kLanes).data();
  }
  static Index lanes_bytes() { return 2 * stored_bytes<float>(kLanes); }

  /// kAdd goes on from the softmax over other keys that the outputs and statistics hold.
  void start_lanes(const SoftmaxProblem& problem, Range queries, Output output) {
    problem_.emplace(problem);
    queries_ = queries;
    output_ = output;
    has_out_ = false;
    std::fill_n(reference_, kLanes, kNoReference);
    std::fill_n(sum_, kLanes, 0.0F);
    if (output == Output::kAdd) {
      for (Index i = 0; i < queries_.size(); ++i)
        reference_[i] = problem.statistics.reference(queries_.begin + i);
    }
  }

  /// Their rows.
  View out() const {
    View all = problem_->outputs.out;
    return all.row_slice(queries_.begin, queries_.size());
  }

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

  /// What a row of out becomes: own times what the group has + held times what it holds.
  struct Shares {
    alignas(kAlignment) float own[kLanes], held[kLanes];
  };
  /// Writes log_sum_exp and statistics, and says what becomes of out; kAdd: merges with what they
  /// hold.
  void close() const {
    const Statistics& statistics = problem_->statistics;
    const View wanted = problem_->outputs.log_sum_exp;
    for (Index lane = 0; lane < kLanes; lane += simd::kWidth) {
      const Vec zero(0.0F), held = output_ == Output::kAdd ? held_sum(statistics, lane) : zero;
      const Vec sum = simd::load(sum_ + lane) + held;
      const Vec factor = simd::select(is_empty(sum), zero, Vec(1.0F) / sum);
      simd::store(sum_ + lane, sum);
      simd::store(shares_.own + lane, factor);
      simd::store(shares_.held + lane, factor * held);
    }
    if (!wanted.empty() || !statistics.empty()) write_logs(wanted, statistics);
    problem_.reset();
  }
  void write_logs(View log_sum_exp, const Statistics& statistics) const {
    alignas(kAlignment) float log2_sums[kLanes], logs[kLanes];
    for (Index lane = 0; lane < kLanes; lane += simd::kWidth) {
      const Vec zero(0.0F), none(-std::numeric_limits<float>::infinity());
      const Vec sum = simd::load(sum_ + lane), reference = simd::load(reference_ + lane);
      const Vec log2 = simd::select(is_empty(sum), zero, simd::log2(sum));
      const Vec log = (reference + log2) * Vec(std::numbers::ln2_v<float>);
      simd::store(log2_sums + lane, log2);
      simd::store(logs + lane, simd::select(is_empty(sum), none, log));
    }
    const Index first = queries_.begin, count = queries_.size();
    for (Index i = 0; i < count && !log_sum_exp.empty(); ++i) log_sum_exp(first + i, 0) = logs[i];
    for (Index i = 0; i < count && !statistics.empty(); ++i) {
      statistics.reference(first + i) = reference_[i];
      statistics.log2_sum(first + i) = log2_sums[i];
    }
  }
  /// Of a row without a key: that of others is at least their largest score's.
  static simd::Mask is_empty(Vec sum) { return sum < Vec(0.5F / (1 << kHeadroom)); }

  /// The sum that rows hold in their statistics, over the group's references, for the lanes of a
  /// vector; zero where they hold none.
  Vec held_sum(const Statistics& statistics, Index lane) const {
    const Index count = std::clamp(queries_.size() - lane, Index{0}, simd::kWidth);
    alignas(kAlignment) float held[2][simd::kWidth] = {};
    for (Index i = 0; i < count; ++i) {
      const Index query = queries_.begin + lane + i;
      held[0][i] = statistics.reference(query), held[1][i] = statistics.log2_sum(query);
    }
    const Vec reference = simd::load(held[0]), log2 = simd::load(held[1]);
    return simd::select(reference == Vec(kNoReference), Vec(0.0F),
                        simd::exp2(reference - simd::load(reference_ + lane) + log2));
  }

  /// sum *= factors, each lane by its own.
  void rescale_sums(const Move& move) const {
    for (int c = 0; c < kVectors; ++c) {
      float* const place = sum_ + c * simd::kWidth;
      simd::store(place, simd::load(place) * move.factors.at[c]);
    }
  }

  mutable std::optional<SoftmaxProblem> problem_;  // until its outputs are written
  Range queries_{};
  Output output_ = Output::kOverwrite;
  float* reference_ = nullptr;  // [kLanes]; kNoReference until the row has seen a key
  float* sum_ = nullptr;        // [kLanes]
  mutable Shares shares_;       // once closed
  /// Until then out counts as zero: the first product writes it.
  mutable bool has_out_ = false;
};

}  // namespace arena::softmax_forward_detail
