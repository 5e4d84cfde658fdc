#pragma once
// One block of keys in the backward of tiled softmax attention, by the matrix unit: queries stand
// in the vector lanes. Half a block of keys and a tile of queries go through three stages:
//   score:          scores^T = key query^T - reference,  d_p^T = value d_out^T - shift
//   differentiate:  p = 2^(scores - log2_sum),  d_s = p d_p
//   accumulate:     d_value += p^T d_out,  d_key += d_s^T query,  d_query^T += key^T d_s^T
// While the vector units differentiate one half, the matrix unit accumulates the one before and
// scores the one after.

#include <limits>
#include <numbers>

#include "variants/engine/softmax_matrix_differentiation.hpp"

#ifdef ARENA_HAS_MATRIX_UNIT

namespace arena::softmax_backward_detail {

using matrix_unit::blocks;
using matrix_unit::Operand;

class MatrixKeyBlock;

/// A tile of queries, and what the blocks of keys share while they visit it.
class MatrixQueryTile {
 public:
  MatrixQueryTile(Workspace& workspace, const BackwardProblem& problem)
      : problem_(problem), depth_(blocks(problem.in.query.cols())) {
    for (Panel** space : {&query_t_, &d_out_t_, &query_, &d_out_}) {
      *space = workspace.take<Panel>(kLaneBlocks * depth_ * kExact).data();
    }
    for (HalfSpace& half : halves_) half.take(workspace);
    d_query_t_ = workspace.take<float>(depth_ * kBlock * kQueryTile).data();
    for (float** space : {&start_, &shift_, &log2_sum_}) {
      *space = workspace.take<float>(kQueryTile).data();
    }
  }
  static Index bytes(Index head_dim) {
    const Index depth = blocks(head_dim);
    return 4 * stored_bytes<Panel>(kLaneBlocks * depth * kExact) + 2 * HalfSpace::bytes() +
           stored_bytes<float>(depth * kBlock * kQueryTile) + 3 * stored_bytes<float>(kQueryTile);
  }

  void start(Range queries, const QueryPart&);
  /// Writes d_query to the part of this chunk of keys, or adds it.
  void finish(const QueryPart& part);

 private:
  friend MatrixKeyBlock;

  /// Half a block of keys that was scored.
  struct Scored {
    MatrixKeyBlock* block = nullptr;
    Index half = 0;
  };

  const BackwardProblem& problem_;
  Index depth_;  // chunks of head_dim
  Range queries_{};
  // right operands, of scores and d_p: [block of queries][chunk of head_dim][part]
  Panel *query_t_, *d_out_t_;
  // and of d_key and d_value: [block of head_dim][chunk of queries][part]
  Panel *query_, *d_out_;
  float* d_query_t_;                   // [head_dim in whole blocks][kQueryTile]
  bool has_d_query_ = false;           // until then it counts as zero
  float *start_, *shift_, *log2_sum_;  // [kQueryTile]
  HalfSpace halves_[2];                // the last one scored, and the one before
  Scored last_{};
  Differentiation differentiation_{};  // of the last one
};

class MatrixKeyBlock {
 public:
  using QueryTile = MatrixQueryTile;
  using Session = matrix_unit::Session;
  static constexpr Index kBlocks = 8;  // that go through the queries together

  void take(Workspace& workspace, const BackwardProblem& problem) {
    problem_ = &problem;
    depth_ = blocks(problem.in.query.cols());
    for (Panel** space : {&key_, &value_, &key_t_}) {
      *space = workspace.take<Panel>(kHalves * depth_ * kExact).data();
    }
    for (float** space : {&d_key_, &d_value_}) {
      *space = workspace.take<float>(kKeyBlock * width()).data();
    }
  }
  static Index bytes(Index head_dim) {
    const Index depth = blocks(head_dim);
    return 3 * stored_bytes<Panel>(kHalves * depth * kExact) +
           2 * stored_bytes<float>(kKeyBlock * depth * kBlock);
  }

  void start(Range keys, Queries) {
    keys_ = keys;
    const matrix_unit::Source key = matrix_unit::rows_of(problem_->in.key, keys.begin, keys.size());
    matrix_unit::pack_left<kExact>(key, key_);
    matrix_unit::pack_left_transposed<kExact>(key, key_t_);
    matrix_unit::pack_left<kExact>(
        matrix_unit::rows_of(problem_->in.value, keys.begin, keys.size()), value_);
    std::fill_n(has_grads_, kHalves, false);
  }

  /// Adds what the pairs of the tile's queries and this block's keys give, but for what
  /// tile.finish() does.
  void visit(MatrixQueryTile& tile, const QueryPart&, RowsAhead&) {
    for (Index half = 0; half < kHalves; ++half) {
      const Range keys = keys_of(half);
      if (keys.empty() || problem_->mask.keys_of(tile.queries_, keys).empty()) continue;
      const Cover cover = problem_->mask.cover(tile.queries_, keys);
      if (cover == Cover::kNone) continue;
      std::swap(tile.halves_[0], tile.halves_[1]);
      score(tile, half, keys.size());
      if (cover == Cover::kSome) {
        problem_->mask.hide(tile.queries_, keys, {tile.halves_[0].scores, 1, kQueryTile});
      }
      advance(tile, {this, half});
    }
  }
  /// The last half scored is accumulated, `next` is the last.
  static void advance(MatrixQueryTile& tile, const MatrixQueryTile::Scored& next) {
    tile.differentiation_.finish();
    const MatrixQueryTile::Scored ready = tile.last_;
    tile.last_ = next;
    tile.differentiation_ = {};
    if (next.block) {
      const Index steps = (4 * kLaneBlocks + 2) * tile.depth_ * matrix_unit::kProducts<kExact>;
      tile.differentiation_ = Differentiation(tile.halves_[0], tile.log2_sum_, steps);
    }
    const HalfSpace& space = tile.halves_[next.block ? 1 : 0];
    if (ready.block) ready.block->accumulate(tile, ready.half, space);
  }

  /// Writes d_key and d_value, or adds to them.
  void finish() const {
    for (Index half = 0; half < kHalves; ++half) {
      if (has_grads_[half]) continue;
      for (float* grads : {d_key_, d_value_})
        std::fill_n(grads + place(half), kBlock * width(), 0.0F);
    }
    write(d_key_, problem_->scale, problem_->d_in.key.row_slice(keys_.begin, keys_.size()));
    write(d_value_, 1, problem_->d_in.value.row_slice(keys_.begin, keys_.size()));
  }

 private:
  static constexpr Index kHalves = kKeyBlock / kBlock;

  Index width() const { return depth_ * kBlock; }
  Index place(Index half) const { return half * kBlock * width(); }
  Range keys_of(Index half) const {
    const Index first = keys_.begin + half * kBlock;
    return {first, std::min(first + kBlock, keys_.end)};
  }

  void score(MatrixQueryTile& tile, Index half, Index count) const {
    const HalfSpace& space = tile.halves_[0];
    const Index row = depth_ * kExact;
    const auto product = [&](const Panel* a, const Panel* b, const float* start, float* to) {
      matrix_unit::multiply<kExact>(
          {a + half * row, row}, 1, {b, row}, kLaneBlocks, depth_, to, kQueryTile,
          [&](Index, Index lane) ARENA_INLINE_LAMBDA { matrix_unit::Sums::load(start + lane, 0); },
          [&]() ARENA_INLINE_LAMBDA { tile.differentiation_(); });
    };
    product(key_, tile.query_t_, tile.start_, space.scores);
    product(value_, tile.d_out_t_, tile.shift_, space.d_p);
    std::fill(space.scores + count * kQueryTile, space.scores + kBlock * kQueryTile,
              -std::numeric_limits<float>::infinity());
  }

  void accumulate(MatrixQueryTile& tile, Index half, const HalfSpace& space) {
    const auto product = [&](const Operand& a, Index rows, const Operand& b, Index cols,
                             Index depth, float* to, Index stride, bool adds) {
      matrix_unit::multiply<kExact>(
          a, rows, b, cols, depth, to, stride,
          [&](Index r, Index c) ARENA_INLINE_LAMBDA {
            if (!adds) return matrix_unit::Sums::clear();
            matrix_unit::Sums::load(to + r * stride + c, stride);
          },
          [&]() ARENA_INLINE_LAMBDA { tile.differentiation_(); });
    };
    const Index chunks = blocks(tile.queries_.size()), row = chunks * kExact;  // of queries
    bool& has_grads = has_grads_[half];
    product({space.p_left, 0}, 1, {tile.d_out_, row}, depth_, chunks, d_value_ + place(half),
            width(), has_grads);
    product({space.d_s_left, 0}, 1, {tile.query_, row}, depth_, chunks, d_key_ + place(half),
            width(), has_grads);
    has_grads = true;
    const Operand key_t{key_t_ + half * kExact, blocks(keys_.size()) * kExact};
    product(key_t, depth_, {space.d_s_right, kExact}, kLaneBlocks, 1, tile.d_query_t_, kQueryTile,
            tile.has_d_query_);
    tile.has_d_query_ = true;
  }

  void write(const float* from, float factor, View to) const {
    const ConstView rows(from, to.rows(), to.cols(), width());
    if (problem_->output == Output::kOverwrite) {
      to = factor * rows;
    } else {
      to += factor * rows;
    }
  }

  const BackwardProblem* problem_ = nullptr;
  Index depth_ = 0;  // chunks of head_dim
  Range keys_{};
  Panel *key_, *value_;      // left operands [half][chunk of head_dim][part]
  Panel* key_t_;             // transposed left operand [block of head_dim][half][part]
  float *d_key_, *d_value_;  // [kKeyBlock][head_dim in whole blocks]
  bool has_grads_[kHalves];  // until then they count as zero
};

inline void MatrixQueryTile::start(Range queries, const QueryPart&) {
  queries_ = queries;
  const matrix_unit::Source query =
      matrix_unit::rows_of(problem_.in.query, queries.begin, queries.size());
  const matrix_unit::Source d_out =
      matrix_unit::rows_of(problem_.d_outputs.out, queries.begin, queries.size());
  if (queries.size() < kQueryTile) {
    for (Panel* space : {query_t_, d_out_t_}) {
      std::fill_n(space, kLaneBlocks * depth_ * kExact, Panel{});
    }
  }
  matrix_unit::pack_right_transposed<kExact>(query, problem_.scale * std::numbers::log2e_v<float>,
                                             query_t_);
  matrix_unit::pack_right_transposed<kExact>(d_out, 1, d_out_t_);
  matrix_unit::pack_right<kExact>(query, query_);
  matrix_unit::pack_right<kExact>(d_out, d_out_);
  has_d_query_ = false;
  for (Index i = 0; i < kQueryTile; ++i) {
    const Index row = queries.begin + i;
    const bool inside = i < queries.size();  // lanes beyond give nothing: d_out is 0
    start_[i] = inside ? -problem_.statistics.reference(row) : 0;
    log2_sum_[i] = inside ? problem_.statistics.log2_sum(row) : 0;
    shift_[i] = inside ? -problem_.shift[row] : 0;
  }
}

inline void MatrixQueryTile::finish(const QueryPart& part) {
  MatrixKeyBlock::advance(*this, {});
  if (!has_d_query_) return part.start(queries_);
  const Index head_dim = problem_.in.query.cols();
  float* const to = part.row(queries_.begin);
  const auto scale = [&](Index) { return problem_.scale; };
  write_transposed(
      scale, d_query_t_, kQueryTile, head_dim, queries_.size(), [](Index) { return 1.0F; },
      part.output, to, part.stride);
}

}  // namespace arena::softmax_backward_detail

#endif
