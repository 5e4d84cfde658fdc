#pragma once
// One block of keys in the backward of tiled softmax attention, by the vector units: keys stand in
// the vector lanes, tiles of queries come by.
//
// key^T and value^T are packed once; for each tile of queries that sees the block:
//   scores[i][:] = sum_d query[i][d] key^T[d][:] (scaled),  p = 2^(scores - ref_i - log2_sum_i)
//   d_s[i][:] = p * (sum_d d_out[i][d] value^T[d][:] - shift_i),
//                                          shift_i = <d_out_i, out_i> - d_log_sum_exp_i
//   d_value^T[d][:] += sum_i d_out[i][d] p[i][:],  d_key^T[d][:] += sum_i query[i][d] d_s[i][:]
//   d_query[i][:] += sum_j d_s[i][j] key[j][:]

#include <numbers>
#include <variant>

#include "harness/layers/product.hpp"
#include "variants/engine/softmax_backward_problem.hpp"
#include "variants/engine/softmax_weft.hpp"

namespace arena::softmax_backward_detail {

using simd::Vec;

constexpr Index kPanels = kKeyBlock / kTileLanes;
constexpr int kQueryStep = 2 * kTileRows;  // queries whose d_query is made together

/// to [count, columns] += rows [count, depth] b [depth, columns]. Rows are read in whole tiles.
template <int kVectors, int kRows>
void add_columns(const RowTile& rows, const Rows& b, Index depth, float* to, Index stride,
                 Index count) {
  for (Index r = 0; r < count; r += kRows) {
    Accumulators<kVectors, kRows> tile;
    tile.clear();
    tile.multiply_add(RowTile{rows.data + r * rows.stride, rows.stride}, b.data, b.stride, depth);
    tile.add_to(to + r * stride, stride, count - r);
  }
}

/// The same for any number of vectors of columns; few of them make room for more rows.
inline void add_product(const RowTile& rows, const Rows& b, Index depth, Index vectors, float* to,
                        Index stride, Index count) {
  const auto columns = [&]<int kVectors, int kRows>(Index c) {
    const Index column = c * simd::kWidth;
    add_columns<kVectors, kRows>(rows, {b.data + column, b.stride}, depth, to + column, stride,
                                 count);
  };
  Index c = 0;
  for (; c + kTileVectors <= vectors; c += kTileVectors) {
    columns.template operator()<kTileVectors, kTileRows>(c);
  }
  for (; c + 2 <= vectors; c += 2) columns.template operator()<2, kQueryStep>(c);
  for (; c < vectors; ++c) columns.template operator()<1, kQueryStep>(c);
}

/// A tile of queries, and what the blocks of keys share while they visit it.
class VectorQueryTile {
 public:
  VectorQueryTile(Workspace& workspace, const BackwardProblem& problem) : problem_(problem) {
    const Index rows = kQueryTile * round_up(problem.in.query.cols(), kTileRows);
    p_ = workspace.take<float>(kScores).data();
    d_s_ = workspace.take<float>(kScores).data();
    query_space_ = workspace.take<float>(rows).data();
    d_out_space_ = workspace.take<float>(rows).data();
  }
  static Index bytes(Index head_dim) {
    return 2 * stored_bytes<float>(kScores) +
           2 * stored_bytes<float>(kQueryTile * round_up(head_dim, kTileRows));
  }

  void start(Range queries, const QueryPart& part) {
    queries_ = queries;
    part.start(queries);
    query_ = contiguous_rows(problem_.in.query, queries.begin, queries.size(), query_space_);
    d_out_ = contiguous_rows(problem_.d_outputs.out, queries.begin, queries.size(), d_out_space_);
  }
  void finish(const QueryPart&) const {}

 private:
  friend class VectorKeyBlock;
  static constexpr Index kScores = kQueryTile * kKeyBlock;

  const BackwardProblem& problem_;
  Range queries_{};
  Rows query_{}, d_out_{};
  float *p_, *d_s_;                    // [kQueryTile][kKeyBlock]
  float *query_space_, *d_out_space_;  // [kQueryTile][head_dim in whole register tiles]
};

class VectorKeyBlock {
 public:
  using QueryTile = VectorQueryTile;
  using Session = std::monostate;      // of a worker
  static constexpr Index kBlocks = 4;  // that go through the queries together

  void take(Workspace& workspace, const BackwardProblem& problem) {
    problem_ = &problem;
    head_dim_ = problem.in.query.cols();
    width_ = round_up(head_dim_, simd::kWidth);
    rows_ = round_up(head_dim_, kTileRows);
    key_t_ = workspace.take<float>(kKeyBlock * head_dim_).data();
    value_t_ = workspace.take<float>(kKeyBlock * head_dim_).data();
    key_ = workspace.take<float>(kKeyBlock * width_).data();
    d_key_t_ = workspace.take<float>(kKeyBlock * rows_).data();
    d_value_t_ = workspace.take<float>(kKeyBlock * rows_).data();
  }

  static Index bytes(Index head_dim) {
    return 2 * stored_bytes<float>(kKeyBlock * head_dim) +
           stored_bytes<float>(kKeyBlock * round_up(head_dim, simd::kWidth)) +
           2 * stored_bytes<float>(kKeyBlock * round_up(head_dim, kTileRows));
  }

  void start(Range keys) {
    keys_ = keys;
    const auto& in = problem_->in;
    for (Index panel = 0; panel < kPanels; ++panel) {
      const Index first = keys.begin + panel * kTileLanes;
      const Index count = std::clamp(keys.end - first, Index{0}, kTileLanes);
      const Index place = panel * kTileLanes * head_dim_;
      pack_transposed(in.key, first, count, problem_->scale * std::numbers::log2e_v<float>,
                      key_t_ + place);
      pack_transposed(in.value, first, count, 1, value_t_ + place);
    }
    for (Index j = 0; j < keys.size(); ++j) {
      const float* const row = in.key.data() + (keys.begin + j) * in.key.outerStride();
      std::copy_n(row, head_dim_, key_ + j * width_);
      std::fill(key_ + j * width_ + head_dim_, key_ + (j + 1) * width_, 0.0F);
    }
    std::fill_n(d_key_t_, kKeyBlock * rows_, 0.0F);
    std::fill_n(d_value_t_, kKeyBlock * rows_, 0.0F);
  }

  /// Adds what the pairs of the tile's queries and this block's keys give.
  void visit(const VectorQueryTile& tile, const QueryPart& d_query) {
    const Range queries = tile.queries_;
    if (problem_->mask.keys_of(queries, keys_).empty()) return;
    p_ = tile.p_;
    d_s_ = tile.d_s_;
    const Cover cover = problem_->mask.cover(queries, keys_);
    for (Index panel = 0; panel * kTileLanes < keys_.size(); ++panel) {
      const Range keys{keys_.begin + panel * kTileLanes,
                       std::min(keys_.begin + (panel + 1) * kTileLanes, keys_.end)};
      Range& seen = seen_[panel];
      seen = problem_->mask.queries_of(keys, queries);
      if (seen.empty()) continue;
      // in whole steps: the mask hides the scores of those that see nothing
      seen.begin -= (seen.begin - queries.begin) % kQueryStep;
      seen.end =
          std::min(queries.begin + round_up(seen.end - queries.begin, kQueryStep), queries.end);
      const Rows q = skip(tile.query_, seen.begin - queries.begin);
      const Rows g = skip(tile.d_out_, seen.begin - queries.begin);
      const Panel part{panel, keys, seen, (seen.begin - queries.begin) * kKeyBlock};
      with_vectors(keys.size(), [&]<int Vectors>() {
        score<Vectors>(part, q);
        if (cover == Cover::kSome) hide(part);
        differentiate<Vectors>(part, g);
        add_transposed<Vectors>(part, g, p_, d_value_t_);
        add_transposed<Vectors>(part, q, d_s_, d_key_t_);
      });
    }
    const Index step = cover == Cover::kAll ? queries.size() : kQueryStep;
    for (Index i = queries.begin; i < queries.end; i += step) add_query(i, step, queries, d_query);
  }

  /// Writes d_key and d_value, or adds to them.
  void finish() const {
    for (Index panel = 0; panel * kTileLanes < keys_.size(); ++panel) {
      const Index first = keys_.begin + panel * kTileLanes, place = panel * rows_ * kTileLanes;
      const Index count = std::min(kTileLanes, keys_.end - first);
      write(d_key_t_ + place, problem_->scale, problem_->d_in.key.row_slice(first, count));
      write(d_value_t_ + place, 1, problem_->d_in.value.row_slice(first, count));
    }
  }

 private:
  void write(const float* from, float factor, const View& to) const {
    // the keys are not needed any more
    write_transposed(from, kTileLanes, factor, problem_->output, key_t_, to);
  }

  /// kTileLanes keys of the block and the queries that see some of them.
  struct Panel {
    Index index;
    Range keys, queries;
    Index place;  // of the first score of these queries in p_ and d_s_, without the panel's columns

    Index lane() const { return index * kTileLanes; }
  };

  static Rows skip(const Rows& rows, Index count) {
    return {rows.data + count * rows.stride, rows.stride};
  }

  /// d_query of the `step` queries from i += d_s key, over the runs of panels that they see.
  void add_query(Index i, Index step, Range tile, const QueryPart& d_query) const {
    const Index count = std::min(step, tile.end - i);
    const auto seen = [&](Index panel) {
      return panel * kTileLanes < keys_.size() && seen_[panel].begin <= i && i < seen_[panel].end;
    };
    for (Index panel = 0; panel < kPanels; ++panel) {
      if (!seen(panel)) continue;
      const Index first = panel;
      while (panel + 1 < kPanels && seen(panel + 1)) ++panel;
      const Range run{keys_.begin + first * kTileLanes,
                      std::min(keys_.begin + (panel + 1) * kTileLanes, keys_.end)};
      const Range keys = problem_->mask.keys_of({i, i + count}, run);
      if (keys.empty()) continue;
      const Index j = keys.begin - keys_.begin;
      const float* const d_s = d_s_ + (i - tile.begin) * kKeyBlock + j;
      add_product({d_s, kKeyBlock}, {key_ + j * width_, width_}, keys.size(), width_ / simd::kWidth,
                  d_query.row(i), width_, count);
    }
  }

  /// p_[i][:] = scores in units of log2.
  template <int Vectors>
  void score(const Panel& panel, const Rows& query) {
    const Index count = panel.queries.size();
    for (Index i = 0; i < count; i += kTileRows) {
      Accumulators<Vectors> tile;
      tile.clear();
      tile.multiply_add(RowTile{query.data + i * query.stride, query.stride},
                        key_t_ + panel.lane() * head_dim_, kTileLanes, head_dim_);
      tile.store(p_ + panel.place + i * kKeyBlock + panel.lane(), kKeyBlock);
    }
  }

  void hide(const Panel& panel) {
    problem_->mask.hide(panel.queries, panel.keys, {p_ + panel.place + panel.lane(), kKeyBlock, 1});
  }

  /// p_ from scores to probabilities; d_s_[i][:] = p * (<d_out_i, value> - shift_i).
  template <int Vectors>
  void differentiate(const Panel& panel, const Rows& d_out) {
    with_backward_pace<Vectors>(head_dim_, [&]<int kPace>() {
      for (Index i = 0; i < panel.queries.size(); i += kTileRows) {
        differentiate_rows<Vectors, kPace>(panel, d_out, i);
      }
    });
  }

  template <int Vectors, int kPace>
  ARENA_INLINE void differentiate_rows(const Panel& panel, const Rows& d_out, Index i) {
    const Index first = panel.queries.begin;
    const float* const log2_sum = problem_->statistics.data() + problem_->statistics.outerStride();
    float references_and_sums[2 * kTileRows], shift[kTileRows];
    for (Index r = 0; r < kTileRows; ++r) {
      const Index row = first + std::min(i + r, panel.queries.size() - 1);
      references_and_sums[r] = problem_->statistics.data()[row];
      references_and_sums[r + kTileRows] = log2_sum[row];
      shift[r] = problem_->shift[row];
    }
    const Index place = panel.place + i * kKeyBlock + panel.lane();
    Probabilities<Vectors, kPace> probabilities{p_ + place, references_and_sums, kKeyBlock};
    Accumulators<Vectors> tile;
    tile.clear();
    tile.multiply_add(RowTile{d_out.data + i * d_out.stride, d_out.stride},
                      value_t_ + panel.lane() * head_dim_, kTileLanes, head_dim_, probabilities);
    while (probabilities.next != kTileRows * Vectors) probabilities.one();
    tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      const Index at = place + r * kKeyBlock + c * simd::kWidth;
      simd::store(d_s_ + at, simd::load(p_ + at) * (tile.at[r][c] - Vec(shift[r])));
    });
  }

  /// to^T[d][:] += sum over i of rows[i][d] tile[i][:].
  template <int Vectors>
  void add_transposed(const Panel& panel, const Rows& rows, const float* tile, float* to) const {
    for (Index d = 0; d < head_dim_; d += kTileRows) {
      float* const place = to + panel.lane() * rows_ + d * kTileLanes;
      Accumulators<Vectors> sum;
      sum.load(place, kTileLanes);
      sum.multiply_add(ColumnOperand{rows.data + d, rows.stride}, tile + panel.place + panel.lane(),
                       kKeyBlock, panel.queries.size());
      sum.store(place, kTileLanes);
    }
  }

  const BackwardProblem* problem_ = nullptr;
  Index head_dim_ = 0;
  Index width_ = 0;  // head_dim in whole vectors
  Index rows_ = 0;   // head_dim in whole register tiles
  Range keys_{};
  Range seen_[kPanels];          // of the tile's queries, by each panel of keys
  float *key_t_, *value_t_;      // [kPanels][head_dim][kTileLanes]
  float* key_;                   // [kKeyBlock][width]
  float *d_key_t_, *d_value_t_;  // [kPanels][rows][kTileLanes]
  float *p_, *d_s_;              // the tile's
};

}  // namespace arena::softmax_backward_detail
