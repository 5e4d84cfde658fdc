#pragma once
// What the backward of tiled softmax attention (tiled_softmax_backward.cpp) shares with its blocks
// of keys, whoever multiplies: softmax_vector_key_block.hpp, softmax_matrix_key_block.hpp.

#include "harness/layers/product.hpp"
#include "variants/engine/rows_ahead.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena::softmax_backward_detail {

using simd::Vec;

constexpr Index kKeyBlock = std::max(Index{1}, 64 / kTileLanes) * kTileLanes;
constexpr Index kQueryTile = 64;

struct BackwardProblem {
  const HeadInputs& in;
  const HeadOutputGrads& d_outputs;
  const TileMask& mask;
  const ConstView& statistics;
  const float* shift;  // [query_len]
  float scale;
  HeadGrads d_in;
  Output output;
  const RowsAhead& ahead;
};

/// The part of d_query (not yet scaled) that one chunk of keys gives.
struct QueryPart {
  Range queries{};
  float* data = nullptr;  // [queries][width]
  Index width = 0;        // head_dim in whole vectors
  Output output =
      Output::kOverwrite;  // of each tile of queries: the rows hold nothing yet, or sums

  float* row(Index query) const { return data + (query - queries.begin) * width; }
  /// Zeros rows that hold nothing yet.
  void start(Range some) const {
    if (output == Output::kOverwrite) std::fill_n(row(some.begin), some.size() * width, 0.0F);
  }
};

}  // namespace arena::softmax_backward_detail
