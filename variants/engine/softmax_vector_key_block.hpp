#pragma once
// One block of keys in the backward of tiled softmax attention, by the vector units: keys stand in
// the vector lanes, tiles of queries come by.
//
// key^T and value^T are packed once; for each tile of queries that sees the block:
//   scores[i][:] = sum_d query[i][d] key^T[d][:] (scaled),  p = 2^(scores - ref_i - log2_sum_i)
//   d_s[i][:] = p * (sum_d d_out[i][d] value^T[d][:] (scaled) - shift_i),
//                                          shift_i = scale (<d_out_i, out_i> - d_log_sum_exp_i)
//   d_value[j][:] += sum_i p[i][j] d_out[i][:],  d_key[j][:] += sum_i d_s[i][j] query[i][:]
//   d_query[i][:] += sum_j d_s[i][j] key[j][:]

#include <numbers>
#include <variant>

#include "variants/engine/softmax_backward_problem.hpp"
#include "variants/engine/softmax_few_lanes.hpp"
#include "variants/engine/softmax_lane_sums.hpp"
#include "variants/engine/softmax_sections.hpp"
#include "variants/engine/softmax_weft.hpp"

namespace arena::softmax_backward_detail {

using simd::Vec;

constexpr Index kPanels = kKeyBlock / kTileLanes;
constexpr Index kQueryStep = Sections::kUnit;  // queries whose d_query is made together

/// A tile of queries, and what the blocks of keys share while they visit it.
class VectorQueryTile {
 public:
  VectorQueryTile(Workspace& workspace, const BackwardProblem& problem) : problem_(problem) {
    const Index rows = kQueryTile * round_up(problem.in.query.cols(), simd::kWidth);
    p_ = workspace.take<float>(kScores).data();
    d_s_ = workspace.take<float>(kScores).data();
    query_space_ = workspace.take<float>(rows).data();
    d_out_space_ = workspace.take<float>(rows).data();
  }
  static Index bytes(Index head_dim) {
    return 2 * stored_bytes<float>(kScores) +
           2 * stored_bytes<float>(kQueryTile * round_up(head_dim, simd::kWidth));
  }

  void start(Range queries, const QueryPart& part) {
    queries_ = queries;
    has_d_query_ = part.output == Output::kAdd;
    query_ = contiguous_rows(problem_.in.query, queries.begin, queries.size(), query_space_);
    d_out_ = contiguous_rows(problem_.d_outputs.out, queries.begin, queries.size(), d_out_space_);
  }
  void finish(const QueryPart& part) const {
    if (!has_d_query_) part.start(queries_);
  }

 private:
  friend class VectorKeyBlock;
  static constexpr Index kScores = kQueryTile * kKeyBlock;

  const BackwardProblem& problem_;
  Range queries_{};
  Rows query_{}, d_out_{};
  float *p_, *d_s_;                    // [kQueryTile][kKeyBlock]
  float *query_space_, *d_out_space_;  // [kQueryTile][head_dim in whole vectors]
  bool has_d_query_ = false;           // until then it counts as zero
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
    key_t_ = workspace.take<float>(kKeyBlock * head_dim_).data();
    value_t_ = workspace.take<float>(kKeyBlock * head_dim_).data();
    key_space_ = workspace.take<float>(kKeyBlock * width_).data();
    few_keys_.take(workspace, head_dim_);
    few_values_.take(workspace, head_dim_);
    for (LaneSums* sums : {d_key_, d_value_}) {
      for (Index panel = 0; panel < kPanels; ++panel) sums[panel].take(workspace, head_dim_);
    }
  }

  static Index bytes(Index head_dim) {
    return 2 * stored_bytes<float>(kKeyBlock * head_dim) +
           stored_bytes<float>(kKeyBlock * round_up(head_dim, simd::kWidth)) +
           2 * FewLanes::bytes(head_dim) + 2 * kPanels * LaneSums::bytes(head_dim);
  }

  void start(Range keys, Queries tiles) {
    keys_ = keys;
    tiles_ = tiles;
    is_written_ = false;
    const auto& in = problem_->in;
    const float factor = problem_->scale * std::numbers::log2e_v<float>;
    few_begin_ = keys.size() - FewLanes::among(keys.size(), head_dim_);
    for (Index panel = 0; panel < kPanels; ++panel) {
      const Index lane = panel * kTileLanes, first = keys.begin + lane;
      const Index count = std::clamp(few_begin_ - lane, Index{0}, kTileLanes);
      pack_transposed(in.key, first, count, factor, key_t_ + lane * head_dim_);
      pack_transposed(in.value, first, count, problem_->scale, value_t_ + lane * head_dim_);
    }
    const Range few{keys.begin + few_begin_, keys.end};
    few_keys_.start(in.key, few, factor);
    few_values_.start(in.value, few, problem_->scale);
    key_ = contiguous_rows(in.key, keys.begin, keys.size(), key_space_);
    has_gradients_ = false;
  }

  /// Adds what the pairs of the tile's queries and this block's keys give.
  void visit(VectorQueryTile& tile, const QueryPart& d_query, RowsAhead& ahead) {
    const Range queries = tile.queries_;
    if (problem_->mask.keys_of(queries, keys_).empty()) return;
    p_ = tile.p_;
    d_s_ = tile.d_s_;
    const Cover cover = problem_->mask.cover(queries, keys_);
    overwrites_ = !has_gradients_ && cover == Cover::kAll;
    if (!overwrites_) need_gradients();
    has_gradients_ = true;
    is_written_ =
        overwrites_ && tiles_ == Queries::kOneTile && problem_->output == Output::kOverwrite;
    for (Index panel = 0; panel * kTileLanes < keys_.size(); ++panel) {
      const Range keys = panel_keys(panel);
      Sections sections;
      sections.set(queries, keys, cover,
                   [&](Range some) { return problem_->mask.keys_of(some, keys); });
      for (const Section& section : sections) {
        const Index skipped = section.rows.begin - queries.begin;
        const Piece piece{section.rows,  section.lanes(keys), panel,
                          section.first, section.vectors,     skipped * kKeyBlock};
        with_vectors(section.vectors * simd::kWidth, [&]<int Vectors>() {
          attend<Vectors>(piece, tile.query_.from_row(skipped), tile.d_out_.from_row(skipped),
                          cover, ahead);
        });
      }
    }
    add_queries(tile, cover, d_query);
  }

  /// Writes d_key and d_value, or adds to them.
  void finish() {
    if (is_written_) return;
    need_gradients();
    const auto& d_in = problem_->d_in;
    for (Index panel = 0; panel * kTileLanes < keys_.size(); ++panel) {
      write(d_key_[panel], d_in.key, panel_keys(panel));
      write(d_value_[panel], d_in.value, panel_keys(panel));
    }
  }

 private:
  void need_gradients() {
    if (has_gradients_) return;
    for (Index panel = 0; panel * kTileLanes < keys_.size(); ++panel) {
      d_key_[panel].clear();
      d_value_[panel].clear();
    }
    has_gradients_ = true;
  }

  void write(const LaneSums& sums, View to, Range keys) const {
    const auto one = [](Index) { return 1.0F; };
    sums.write(one, one, problem_->output, to.row_slice(keys.begin, keys.size()));
  }

  /// Queries and keys of a panel, whole vectors of them, that see each other.
  struct Piece {
    Range queries, keys;
    Index panel;
    int first;  // of the panel's vectors
    int vectors;
    Index row;  // of p_ and d_s_: where that of the first query starts

    /// Of the first score in p_ and d_s_.
    Index place() const { return row + panel * kTileLanes + lane(); }
    /// That of the first key, in the panel.
    Index lane() const { return first * simd::kWidth; }
  };

  Range panel_keys(Index panel) const {
    const Index first = keys_.begin + panel * kTileLanes;
    return {first, std::min(first + kTileLanes, keys_.end)};
  }

  /// What scores of a query and their gradients are less.
  struct OfQuery {
    float reference, log2_sum, shift;

    OfQuery(const BackwardProblem& problem, Index query)
        : reference(problem.statistics.reference(query)),
          log2_sum(problem.statistics.log2_sum(query)),
          shift(problem.scale * problem.shift[query]) {}
  };

  template <int Vectors>
  void attend(const Piece& piece, const Rows& query, const Rows& d_out, Cover cover,
              RowsAhead& ahead) {
    score<Vectors>(piece, query, ahead);
    if (cover != Cover::kAll && problem_->mask.cover(piece.queries, piece.keys) != Cover::kAll) {
      problem_->mask.hide(piece.queries, piece.keys, {p_ + piece.place(), kKeyBlock, 1});
    }
    differentiate<Vectors>(piece, d_out);
    const auto& d_in = problem_->d_in;
    add_keys(piece, p_, d_out, d_value_[piece.panel], d_in.value, ahead);
    add_keys(piece, d_s_, query, d_key_[piece.panel], d_in.key, ahead);
  }

  /// d_query += d_s key.
  void add_queries(VectorQueryTile& tile, Cover cover, const QueryPart& d_query) const {
    const Range queries = tile.queries_;
    const bool first = !tile.has_d_query_;
    tile.has_d_query_ = true;
    if (cover == Cover::kAll) {
      add_query(queries, queries.begin, keys_, d_query, first ? Output::kOverwrite : Output::kAdd);
      return;
    }
    if (first) d_query.start(queries);
    for (Index i = queries.begin; i < queries.end; i += kQueryStep) {
      const Range some{i, std::min(i + kQueryStep, queries.end)};
      Range run{};  // of keys that these see, through panels
      for (Index panel = 0; panel * kTileLanes < keys_.size(); ++panel) {
        const Range keys = problem_->mask.keys_of(some, panel_keys(panel));
        if (keys.empty()) continue;
        if (!run.empty() && run.end != keys.begin) {
          add_query(some, queries.begin, run, d_query, Output::kAdd);
          run = {};
        }
        run = {run.empty() ? keys.begin : run.begin, keys.end};
      }
      if (!run.empty()) add_query(some, queries.begin, run, d_query, Output::kAdd);
    }
  }

  void add_query(Range queries, Index tile_begin, Range keys, const QueryPart& d_query,
                 Output output) const {
    const Index j = keys.begin - keys_.begin;
    const float* const d_s = d_s_ + (queries.begin - tile_begin) * kKeyBlock + j;
    add_product(RowTile{d_s, kKeyBlock}, key_.from_row(j), keys.size(), width_ / simd::kWidth,
                {d_query.row(queries.begin), d_query.stride, queries.size(), output}, no_weft);
  }

  /// body.operator()<Vectors>() for the vectors whose lanes are not few, and few(place) where those
  /// of the last one are: its place in the piece.
  template <int Vectors, class Body, class Few>
  ARENA_INLINE void with_few(const Piece& piece, const Body& body, const Few& few) const {
    constexpr Index kLast = (Vectors - 1) * simd::kWidth;
    if (few_keys_.count() == 0 || piece.keys.begin + kLast != keys_.begin + few_begin_) {
      return body.template operator()<Vectors>();
    }
    if constexpr (Vectors > 1) body.template operator()<Vectors - 1>();
    few(piece.place() + kLast);
  }

  /// p_[i][:] = scores in units of log2.
  template <int Vectors>
  void score(const Piece& piece, const Rows& query, RowsAhead& ahead) {
    with_few<Vectors>(
        piece, [&]<int kWhole>() { score_vectors<kWhole>(piece, query, ahead); },
        [&](Index place) {
          few_keys_.multiply(query, piece.queries.size(), Vec(0.0F), p_ + place, kKeyBlock);
        });
  }
  template <int Vectors>
  void score_vectors(const Piece& piece, const Rows& query, RowsAhead& ahead) {
    const float* const key_t = key_t_ + piece.panel * kTileLanes * head_dim_ + piece.lane();
    for_row_tiles<Vectors>(piece.queries.size(), [&]<int kRows>(Index i) ARENA_INLINE_LAMBDA {
      Accumulators<Vectors, kRows> tile;
      tile.clear();
      tile.multiply_add(RowTile{query.data + i * query.stride, query.stride}, key_t, kTileLanes,
                        head_dim_, ahead.weft());
      ahead.after_tile();
      tile.store(p_ + piece.place() + i * kKeyBlock, kKeyBlock);
    });
  }

  /// p_ from scores to probabilities; d_s_[i][:] = p * (<d_out_i, value> - shift_i).
  template <int Vectors>
  void differentiate(const Piece& piece, const Rows& d_out) {
    with_few<Vectors>(
        piece, [&]<int kWhole>() { differentiate_vectors<kWhole>(piece, d_out); },
        [&](Index place) { differentiate_few(piece.queries, d_out, place); });
  }
  void differentiate_few(Range queries, const Rows& d_out, Index place) {
    few_values_.multiply(d_out, queries.size(), Vec(0.0F), d_s_ + place, kKeyBlock);
    for (Index i = 0; i < queries.size(); ++i, place += kKeyBlock) {
      const OfQuery query(*problem_, queries.begin + i);
      const Vec p = simd::exp2(simd::load(p_ + place) - Vec(query.reference) - Vec(query.log2_sum));
      simd::store(p_ + place, p);
      simd::store(d_s_ + place, p * (simd::load(d_s_ + place) - Vec(query.shift)));
    }
  }
  template <int Vectors>
  void differentiate_vectors(const Piece& piece, const Rows& d_out) {
    with_backward_pace<Vectors, kRowsFor<Vectors>>(head_dim_, [&]<int kPace>() {
      for_row_tiles<Vectors>(piece.queries.size(), [&]<int kRows>(Index i) ARENA_INLINE_LAMBDA {
        differentiate_rows<Vectors, kRows, kPace>(piece, d_out, i);
      });
    });
  }

  template <int Vectors, int kRows, int kPace>
  ARENA_INLINE void differentiate_rows(const Piece& piece, const Rows& d_out, Index i) {
    float references_and_sums[2 * kRows], shift[kRows];
    for (Index r = 0; r < kRows; ++r) {
      const OfQuery query(*problem_, piece.queries.begin + i + r);
      references_and_sums[r] = query.reference;
      references_and_sums[r + kRows] = query.log2_sum;
      shift[r] = query.shift;
    }
    const Index place = piece.place() + i * kKeyBlock;
    Probabilities<Vectors, kRows, kPace> probabilities{p_ + place, references_and_sums, kKeyBlock};
    Accumulators<Vectors, kRows> tile;
    tile.clear();
    tile.multiply_add(RowTile{d_out.data + i * d_out.stride, d_out.stride},
                      value_t_ + piece.panel * kTileLanes * head_dim_ + piece.lane(), kTileLanes,
                      head_dim_, probabilities);
    while (probabilities.next != kRows * Vectors) probabilities.one();
    tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      const Index at = place + r * kKeyBlock + c * simd::kWidth;
      simd::store(d_s_ + at, simd::load(p_ + at) * (tile.at[r][c] - Vec(shift[r])));
    });
  }

  /// sums[j][:] += sum over i of tile[i][j] rows[i][:], or where there are no others to come `to`.
  void add_keys(const Piece& piece, const float* tile, const Rows& rows, const LaneSums& sums,
                View to, RowsAhead& ahead) const {
    auto weft = ahead.weft();
    sums.add({.p = tile + piece.place(),
              .p_stride = kKeyBlock,
              .rows = rows,
              .depth = piece.queries.size(),
              .first = piece.first,
              .vectors = piece.vectors,
              .lanes = piece.keys.size(),
              .output = overwrites_ ? Output::kOverwrite : Output::kAdd,
              .to = is_written_ ? to.row_slice(piece.keys.begin, piece.keys.size()) : View()},
             weft);
  }

  const BackwardProblem* problem_ = nullptr;
  Index head_dim_ = 0;
  Index width_ = 0;  // head_dim in whole vectors
  Range keys_{};
  float *key_t_, *value_t_;  // [kPanels][head_dim][kTileLanes]
  Rows key_{};
  float* key_space_;     // [kKeyBlock][width]
  Index few_begin_ = 0;  // keys from here on, if any, are few
  FewLanes few_keys_, few_values_;
  LaneSums d_key_[kPanels], d_value_[kPanels];  // of the keys
  float *p_, *d_s_;                             // the tile's
  bool has_gradients_ = false;                  // until then these sums count as zero
  bool overwrites_ = false;                     // they do, and this visit gives all of them
  Queries tiles_ = Queries::kTiles;
  bool is_written_ = false;  // gradients, by the only visit
};

}  // namespace arena::softmax_backward_detail
