#pragma once
// What half a block of keys and a tile of queries pass through between two rounds of products in
// the backward of tiled softmax attention by the matrix unit (softmax_matrix_key_block.hpp):
//   p = 2^(scores - log2_sum),  d_s = p d_p,  both cut into the parts of the products to come.

#include "harness/layers/matrix_unit.hpp"
#include "variants/engine/softmax_backward_problem.hpp"

#ifdef ARENA_HAS_MATRIX_UNIT

namespace arena::softmax_backward_detail {

using matrix_unit::kBlock;
using matrix_unit::kExact;
using matrix_unit::kTile;
using matrix_unit::Panel;

inline constexpr Index kLaneBlocks = kQueryTile / kBlock;
inline constexpr Index kScorePanels = kLaneBlocks * kExact;

/// What half a block of keys leaves from stage to stage.
struct HalfSpace {
  float *scores, *d_p;       // [kBlock][kQueryTile]
  Panel *p_left, *d_s_left;  // left operands [chunk of queries][part]
  Panel* d_s_right;          // right operand [block of queries][part]

  void take(Workspace& workspace) {
    for (float** space : {&scores, &d_p}) {
      *space = workspace.take<float>(kBlock * kQueryTile).data();
    }
    for (Panel** space : {&p_left, &d_s_left, &d_s_right}) {
      *space = workspace.take<Panel>(kScorePanels).data();
    }
  }
  static Index bytes() {
    return 2 * stored_bytes<float>(kBlock * kQueryTile) + 3 * stored_bytes<Panel>(kScorePanels);
  }
};

/// Differentiates half a block; as the weft of products of `steps` steps in all, it is through when
/// they are.
class Differentiation {
 public:
  Differentiation() = default;
  Differentiation(const HalfSpace& half, const float* log2_sum, Index steps)
      : half_(half), log2_sum_(log2_sum), left_(kUnits), steps_(steps) {}

  ARENA_INLINE void operator()() {
    for (due_ += kUnits; due_ >= steps_ && left_ > 0; due_ -= steps_) unit();
  }
  void finish() {
    while (left_ > 0) unit();
  }

 private:
  static constexpr Index kUnits = kTile * kLaneBlocks;

  /// Keys u and u + 16, a block of queries.
  ARENA_INLINE void unit() {
    const Index u = (kUnits - left_) % kTile, block = (kUnits - left_) / kTile;
    Vec p[2][2], d_s[2][2];
    unrolled<2>([&](auto row) ARENA_INLINE_LAMBDA {
      unrolled<2>([&](auto lanes) ARENA_INLINE_LAMBDA {
        const Index lane = block * kBlock + lanes * kTile;
        const Index place = (u + row * kTile) * kQueryTile + lane;
        p[row][lanes] = simd::exp2(simd::load(half_.scores + place) - simd::load(log2_sum_ + lane));
        d_s[row][lanes] = p[row][lanes] * simd::load(half_.d_p + place);
      });
    });
    Panel* const p_left = half_.p_left + block * kExact;
    matrix_unit::store_parts<kExact>(p[0][0], p[0][1], p_left, 0, u);
    matrix_unit::store_parts<kExact>(p[1][0], p[1][1], p_left, 1, u);
    unrolled<kExact>([&](auto part) ARENA_INLINE_LAMBDA {
      Panel& left = half_.d_s_left[block * kExact + part];
      Panel& right = half_.d_s_right[block * kExact + part];
      matrix_unit::store_pairs(d_s[0][0], d_s[0][1], left, 0, u);
      matrix_unit::store_pairs(d_s[1][0], d_s[1][1], left, 1, u);
      matrix_unit::store_pairs(d_s[0][0], d_s[1][0], right, 0, u);
      matrix_unit::store_pairs(d_s[0][1], d_s[1][1], right, 1, u);
      if constexpr (part + 1 < kExact) {
        for (auto& row : d_s) {
          for (Vec& x : row) x = matrix_unit::rest_of(x);
        }
      }
    });
    --left_;
  }

  HalfSpace half_{};
  const float* log2_sum_ = nullptr;
  Index left_ = 0;
  Index steps_ = 1, due_ = 0;
};

}  // namespace arena::softmax_backward_detail

#endif
