#pragma once
// Exponentials of tiled softmax attention as the weft of a product (Accumulators::multiply_add):
// they fill the slots that its multiply-adds leave free.

#include "harness/layers/micro_kernel.hpp"
#include "variants/engine/softmax_sections.hpp"

namespace arena {

/// Scores of sections (softmax_sections.hpp), [rows in whole register tiles][its vectors] of one
/// after the other, minus infinity in rows beyond its own.
struct SectionScores {
  float* data;
  const Sections& sections;

  static Index floats_of(const Section& section) {
    return round_up(section.rows.size(), kTileRows) * section.vectors * simd::kWidth;
  }
};

/// Turns them into p = 2^score and adds up what each lane gets, two vectors at a time to hide the
/// latency of one: as the weft of a product, kPace vectors for every kUnroll steps of depth.
template <int kPace>
class Exponentials {
 public:
  /// sums [lanes] of all vectors.
  Exponentials(const SectionScores& scores, float* sums)
      : scores_(scores.data),
        section_(scores.sections.begin()),
        last_(scores.sections.end()),
        sums_(sums) {
    start();
  }

  template <class Step>
  ARENA_INLINE void operator()(Step step) {
    if constexpr ((step + 1) % (2 * kUnroll / kPace) == 0) {
      if (scores_ != end_) two();
    }
  }
  ARENA_INLINE void finish() {
    while (scores_ != end_) two();
  }

 private:
  ARENA_INLINE void two() {
    const simd::Vec x = simd::exp2(simd::load(scores_));
    const simd::Vec y = simd::exp2(simd::load(scores_ + simd::kWidth));
    simd::store(scores_, x);
    simd::store(scores_ + simd::kWidth, y);
    scores_ += 2 * simd::kWidth;
    add(x);
    add(y);
    if (scores_ == end_) turn();
  }
  ARENA_INLINE void add(simd::Vec x) {
    simd::store(sum_, simd::load(sum_) + x);
    sum_ += simd::kWidth;
    if (sum_ == last_sum_) sum_ = first_sum_;
  }

  /// To the next section.
  void turn() {
    ++section_;
    start();
  }
  void start() {
    if (section_ == last_) return;
    first_sum_ = sum_ = sums_ + section_->first * simd::kWidth;
    last_sum_ = first_sum_ + section_->vectors * simd::kWidth;
    end_ = scores_ + SectionScores::floats_of(*section_);
  }

  float* scores_;
  const float* end_ = scores_;  // of the section
  const Section *section_, *last_;
  float *sums_, *sum_, *first_sum_, *last_sum_;
};

/// body.operator()<kPace>() so that the Exponentials of as many keys as a product of so many
/// register tiles is deep are through when it is.
template <class Body>
ARENA_INLINE void with_forward_pace(Index tiles, const Body& body) {
  constexpr Index kWanted = kTileVectors * kUnroll;  // vectors for kUnroll keys
  if (kWanted <= 2 * tiles) return body.template operator()<2>();
  if (kWanted <= 4 * tiles) return body.template operator()<4>();
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
