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
    simd::Vec largest(std::numeric_limits<float>::lowest());
    const auto write = [&](Index i, simd::Vec x) ARENA_INLINE_LAMBDA {
      x = x + start;
      simd::store(to + i * stride, x);
      return x;
    };
    with_few([&]<int kFew>() {
      constexpr int kRows = kRowsAtOnce<kFew>;
      simd::Vec most = largest;
      Index i = 0;
      for (; i + kRows <= count; i += kRows) {
        const simd::Vec dots = dots_of<kFew>(rows.from_row(i));
        unrolled<kRows>([&](auto r) ARENA_INLINE_LAMBDA {
          const simd::Vec x = write(i + r, simd::lanes_of<r * kFew, kFew>(dots));
          most = simd::maximum(most, x);
        });
      }
      for (; i < count; ++i) {
        most = simd::maximum(most, write(i, dots_of(rows.from_row(i).data)));
      }
      largest = most;
    });
    return largest;
  }

 private:
  template <int kFew>
  static constexpr int kRowsAtOnce = static_cast<int>(simd::kWidth) / kFew;

  /// body.operator()<kFew>() with the next power of two.
  template <class Body>
  void with_few(const Body& body) const {
    if (count_ == 1) return body.template operator()<1>();
    if constexpr (kMost >= 2) {
      if (count_ == 2) return body.template operator()<2>();
    }
    if constexpr (kMost >= 4) body.template operator()<4>();
  }

  /// Lane r kFew + f: that of row r and lane f.
  template <int kFew>
  ARENA_INLINE simd::Vec dots_of(const Rows& rows) const {
    simd::Vec at[simd::kWidth];
    unrolled<static_cast<int>(simd::kWidth)>([&](auto k)
                                                 ARENA_INLINE_LAMBDA { at[k] = simd::Vec(0.0F); });
    for (Index d = 0; d < width_; d += simd::kWidth) {
      simd::Vec lanes[kFew];
      unrolled<kFew>(
          [&](auto f) ARENA_INLINE_LAMBDA { lanes[f] = simd::load_once(rows_ + f * width_ + d); });
      unrolled<kRowsAtOnce<kFew>>([&](auto r) ARENA_INLINE_LAMBDA {
        const simd::Vec row = simd::load_once(rows.data + r * rows.stride + d);
        unrolled<kFew>([&](auto f) ARENA_INLINE_LAMBDA {
          simd::add_product(at[r * kFew + f], row, lanes[f]);
        });
      });
    }
    return simd::row_sums([&](Index k) ARENA_INLINE_LAMBDA { return at[k]; });
  }
  /// Lane f: that of the row and lane f.
  simd::Vec dots_of(const float* row) const {
    alignas(kAlignment) float dots[simd::kWidth] = {};
    for (Index f = 0; f < count_; ++f) {
      simd::Vec sum(0.0F);
      for (Index d = 0; d < width_; d += simd::kWidth) {
        simd::add_product(sum, simd::load(row + d), simd::load(rows_ + f * width_ + d));
      }
      dots[f] = simd::sum(sum);
    }
    return simd::load(dots);
  }

  Index width_ = 0;  // head_dim in whole vectors
  Index count_ = 0;
  float* rows_ = nullptr;  // [kMost][width]
};

}  // namespace arena
