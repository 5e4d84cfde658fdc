#pragma once
// A tile of written scores: its size, how it is filled. Private to forward and backward of
// explicit_softmax.hpp.

#include <limits>
#include <numbers>

#include "harness/layers/simd.hpp"
#include "variants/engine/explicit_softmax.hpp"

namespace arena::explicit_softmax_detail {

using simd::Vec;

// A tile of scores stays in the first two caches.
constexpr Index kQueryBlock = 64;
constexpr Index kKeyBlock = 128;
static_assert(kQueryBlock % simd::kWidth == 0 && kKeyBlock % simd::kWidth == 0);
constexpr Index kTileSize = kQueryBlock * kKeyBlock;

/// Blocks of at most `length` in a range, from the first to the last.
template <class Body>
void for_blocks(Range range, Index length, const Body& body) {
  for (Index first = range.begin; first < range.end; first += length) {
    body(Range{first, std::min(first + length, range.end)});
  }
}

inline Index whole_vectors(Index count) {
  return (count + simd::kWidth - 1) / simd::kWidth * simd::kWidth;
}

/// The scores of a tile, hidden ones minus infinity, as are those that fill up the last vector.
inline View write_scores(const ScoredValues& in, Range queries, Range keys, float* space) {
  View scores(space, queries.size(), keys.size(), kKeyBlock);
  Output output = Output::kOverwrite;
  for (const ScoreSource* source : in.scores) {
    source->write(queries, keys, scores, output);
    output = Output::kAdd;
  }
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  for (Index i = 0; i < scores.rows(); ++i) {
    float* const row = space + i * kKeyBlock;
    std::fill(row + keys.size(), row + whole_vectors(keys.size()), kHidden);
  }
  if (in.mask.cover(queries, keys) != Cover::kAll) {
    in.mask.hide(queries, keys, {space, kKeyBlock, 1});
  }
  return scores;
}

/// score - reference, in units of log2.
inline Vec exponent(Vec score, Vec reference) {
  return score * Vec(std::numbers::log2e_v<float>) - reference;
}

}  // namespace arena::explicit_softmax_detail
