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

/// How the queries that see a block of keys come by.
enum class Queries { kTiles, kOneTile };

struct BackwardProblem {
  const HeadInputs& in;
  const HeadOutputGrads& d_outputs;
  const TileMask& mask;
  const ConstStatistics& statistics;
  const float* shift;  // [query_len]
  float scale;
  HeadGrads d_in;
  Output output;
  const RowsAhead& ahead;
};

/// What one chunk of keys gives of d_query: a part to be added, or the rows themselves.
struct QueryPart {
  Range queries{};
  float* data = nullptr;  // of the first of these
  Index width = 0;        // head_dim in whole vectors
  Index stride = 0;
  /// Of each tile of queries: the rows hold nothing yet, or sums.
  Output output = Output::kOverwrite;

  float* row(Index query) const { return data + (query - queries.begin) * stride; }
  /// Zeros rows that hold nothing yet.
  void start(Range some) const {
    if (output == Output::kAdd) return;
    for (Index i = some.begin; i < some.end; ++i) std::fill_n(row(i), width, 0.0F);
  }
};

}  // namespace arena::softmax_backward_detail
