#pragma once
// Scores of the few lanes beyond whole vectors: dot products along head_dim, where a vector of
// lanes would be all but empty. Of 50 lanes 16 at a time, the two beyond 48 take a tenth of the
// multiply-adds that way.

#include <limits>

#include "harness/core/workspace.hpp"
#include "harness/layers/micro_kernel.hpp"
#include "variants/engine/tile_mask.hpp"

namespace arena {

class FewLanes {
 public:
  static constexpr Index kMost = std::max(Index{1}, simd::kWidth / 4);

  /// How many of so many lanes: none where a vector is cheaper.
  static Index among(Index lanes, Index head_dim) {
    const Index beyond = lanes % simd::kWidth;
    return beyond <= kMost && head_dim >= 2 * simd::kWidth ? beyond : 0;
  }

  void take(Workspace& workspace, Index head_dim) {
    width_ = round_up(head_dim, simd::kWidth);
    rows_ = workspace.take<float>(kMost * width_).data();
  }
  static Index bytes(Index head_dim) {
    return stored_bytes<float>(kMost * round_up(head_dim, simd::kWidth));
  }

  /// The lanes are these rows, at most kMost, times factor.
  void start(const ConstView& from, Range rows, float factor) {
    count_ = rows.size();
    for (Index f = 0; f < count_; ++f) {
      const float* const row = from.data() + (rows.begin + f) * from.outerStride();
      copy_row(row, from.cols(), factor, rows_ + f * width_, width_);
    }
    std::fill_n(rows_ + count_ * width_, (kMost - count_) * width_, 0.0F);
  }
  Index count() const { return count_; }

  /// to[i][:] = start + <row i, lane> for the first `count` of `rows`, which are filled up with
  /// zeros; start alone in the lanes beyond count(). Returns the largest of each lane.
  simd::Vec multiply(const Rows& rows, Index count, simd::Vec start, float* to,
                     Index stride) const {
    if (count_ == 1) return multiply_by<1>(rows, count, start, to, stride);
    if constexpr (kMost >= 4) {
      if (count_ > 2) return multiply_by<4>(rows, count, start, to, stride);
    }
    return multiply_by<std::min(Index{2}, kMost)>(rows, count, start, to, stride);
  }

 private:
  /// Of count() <= kFew.
  template <int kFew>
  simd::Vec multiply_by(const Rows& rows, Index count, simd::Vec start, float* to,
                        Index stride) const {
    simd::Vec largest(std::numeric_limits<float>::lowest());
    for_halves<static_cast<int>(simd::kWidth) / kFew>(
        0, count, [&]<int kRows>(Index i) ARENA_INLINE_LAMBDA {
          const simd::Vec dots = dots_of<kFew, kRows>(rows.from_row(i));
          simd::Vec most = largest;
          unrolled<kRows>([&](auto r) ARENA_INLINE_LAMBDA {
            const simd::Vec x = simd::lanes_of<r * kFew, kFew>(dots) + start;
            simd::store(to + (i + r) * stride, x);
            most = simd::maximum(most, x);
          });
          largest = most;
        });
    return largest;
  }

  /// Lane r kFew + f: that of row r and lane f.
  template <int kFew, int kRows>
  ARENA_INLINE simd::Vec dots_of(const Rows& rows) const {
    simd::Vec at[kRows * kFew];
    unrolled<kRows * kFew>([&](auto k) ARENA_INLINE_LAMBDA { at[k] = simd::Vec(0.0F); });
    for (Index d = 0; d < width_; d += simd::kWidth) {
      simd::Vec lanes[kFew];
      unrolled<kFew>(
          [&](auto f) ARENA_INLINE_LAMBDA { lanes[f] = simd::load_once(rows_ + f * width_ + d); });
      unrolled<kRows>([&](auto r) ARENA_INLINE_LAMBDA {
        const simd::Vec row = simd::load_once(rows.data + r * rows.stride + d);
        unrolled<kFew>([&](auto f) ARENA_INLINE_LAMBDA {
          simd::add_product(at[r * kFew + f], row, lanes[f]);
        });
      });
    }
    return simd::row_sums(
        [&](Index k) ARENA_INLINE_LAMBDA { return k < kRows * kFew ? at[k] : simd::Vec(0.0F); });
  }

  Index width_ = 0;  // head_dim in whole vectors
  Index count_ = 0;
  float* rows_ = nullptr;  // [kMost][width]
};

}  // namespace arena
