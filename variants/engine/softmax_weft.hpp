#pragma once
// Exponentials of tiled softmax attention as the weft of a product (Accumulators::multiply_add):
// they fill the slots that its multiply-adds leave free.

#include "harness/layers/micro_kernel.hpp"

namespace arena {

/// Turns scores into p = 2^score, two vectors at a time to hide the latency of one: as the weft of
/// a product, kPace vectors for every kUnroll steps of depth.
template <int kPace>
struct Exponentials {
  float* scores;
  const float* end;

  template <class Step>
  ARENA_INLINE void operator()(Step step) {
    if constexpr ((step + 1) % (2 * kUnroll / kPace) == 0) {
      if (scores != end) two();
    }
  }
  ARENA_INLINE void two() {
    const simd::Vec x = simd::exp2(simd::load(scores));
    const simd::Vec y = simd::exp2(simd::load(scores + simd::kWidth));
    simd::store(scores, x);
    simd::store(scores + simd::kWidth, y);
    scores += 2 * simd::kWidth;
  }
};

/// body.operator()<kPace>() so that the Exponentials of a block of keys are through when the
/// product with values is, a block deep and head_dim / kTileRows tiles long.
template <class Body>
ARENA_INLINE void with_forward_pace(Index head_dim, const Body& body) {
  constexpr Index kOne = kUnroll * kTileVectors * kTileRows;  // head_dim for one vector
  if (head_dim > kOne / 3) return body.template operator()<2>();
  if (head_dim > kOne / 7) return body.template operator()<4>();
  body.template operator()<8>();
}

/// Turns a register tile of scores into probabilities, as the weft of the product that needs them:
/// kPace vectors for every kUnroll steps.
template <int kVectors, int kRows, int kPace>
struct Probabilities {
  float* scores;       // [kRows][stride]
  const float* shift;  // [2][kRows], reference + log2 of row sum in two parts
  Index stride;
  Index next = 0;

  template <class Step>
  ARENA_INLINE void operator()(Step step) {
    if constexpr ((step + 1) % (kUnroll / kPace) == 0) {
      if (next != kRows * kVectors) one();
    }
  }
  ARENA_INLINE void one() {
    const Index row = next / kVectors, lane = next % kVectors * simd::kWidth;
    float* const place = scores + row * stride + lane;
    simd::store(place, simd::exp2(simd::load(place) - simd::Vec(shift[row]) -
                                  simd::Vec(shift[row + kRows])));
    ++next;
  }
};

/// body.operator()<kPace>() so that the Probabilities of a tile are ready when its product of depth
/// head_dim is.
template <int kVectors, int kRows, class Body>
ARENA_INLINE void with_backward_pace(Index head_dim, const Body& body) {
  const Index wanted = kRows * kVectors * kUnroll;  // vectors times steps
  if (wanted <= head_dim) return body.template operator()<1>();
  if (wanted <= 2 * head_dim) return body.template operator()<2>();
  if (wanted <= 4 * head_dim) return body.template operator()<4>();
  body.template operator()<8>();
}

}  // namespace arena
