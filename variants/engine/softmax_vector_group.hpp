#pragma once
// Groups of queries whose products the vector units make: 64 lanes where vectors have 16. query^T
// is packed once (scaled, in units of log2); keys and values are read as they lie where that is
// fast. The exponentials of a block are woven into the product with the values of the block before.

#include <variant>

#include "variants/engine/rows_ahead.hpp"
#include "variants/engine/softmax_few_lanes.hpp"
#include "variants/engine/softmax_lane_sums.hpp"
#include "variants/engine/softmax_query_lanes.hpp"
#include "variants/engine/softmax_sections.hpp"
#include "variants/engine/softmax_weft.hpp"

namespace arena::softmax_forward_detail {

class VectorPipeline;

class VectorGroup : public QueryLanes<kTileVectors> {
 public:
  using Pipeline = VectorPipeline;
  using Session = std::monostate;               // of a worker
  static constexpr Index kKeyStep = kTileRows;  // within a block a group sees whole steps of keys
  static constexpr Index kTiles = 4, kOneTile = 0;
  static constexpr Index kKeyBlock = Sections::kMost;

  /// What a block of keys adds to a group.
  struct BlockSum {
    const VectorGroup* group = nullptr;  // none: nothing
    Rows value;                          // from key `begin` on
    Index begin;
    Sections sections;                       // of keys
    const float* p;                          // SectionScores
    alignas(kAlignment) float sums[kLanes];  // of it
    Move move;                               // of the references before
  };

  void take(Workspace& workspace, Index head_dim) {
    head_dim_ = head_dim;
    query_ = workspace.take<float>(head_dim * kLanes).data();
    few_.take(workspace, head_dim);
    out_.take(workspace, head_dim);
    take_lanes(workspace);
  }
  static Index bytes(Index head_dim) {
    return stored_bytes<float>(head_dim * kLanes) + FewLanes::bytes(head_dim) +
           LaneSums::bytes(head_dim) + lanes_bytes();
  }

  void start(const SoftmaxProblem& problem, Range queries, float scale, Output output, Keys keys) {
    start_lanes(problem, queries, output);
    keys_ = keys;
    static_assert(kLanes == kTileLanes);
    const ConstView& query = problem.in.query;
    const float factor = scale * std::numbers::log2e_v<float>;
    few_begin_ = queries.size() - FewLanes::among(queries.size(), head_dim_);
    pack_transposed(query, queries.begin, few_begin_, factor, query_);
    few_.start(query, {queries.begin + few_begin_, queries.end}, factor);
  }

  /// scores[j][:] = <key_j, query> - reference of the vectors from `first` on; returns the largest
  /// of each lane.
  template <int Vectors>
  Lanes<Vectors> score(int first, Rows key, Index count, float* scores, RowsAhead& ahead) const {
    constexpr Index kRow = Vectors * simd::kWidth;
    const int last = first + Vectors - 1;
    if (few_.count() == 0 || last * simd::kWidth != few_begin_) {
      return score_vectors<Vectors, kRow>(first, key, count, scores, ahead);
    }
    Lanes<Vectors> maxima = least<Vectors>();
    if constexpr (Vectors > 1) {
      const auto of = score_vectors<Vectors - 1, kRow>(first, key, count, scores, ahead);
      std::copy_n(of.at, Vectors - 1, maxima.at);
    }
    maxima.at[Vectors - 1] = few_.multiply(key, count, start_of_scores(last),
                                           scores + (Vectors - 1) * simd::kWidth, kRow);
    return maxima;
  }

  /// Register tiles of the product with values.
  Index product_tiles() const { return out_.tiles(queries_.size()); }

  /// out = factors out + p^T value, sum = factors sum + that of p.
  template <class Weft>
  Weft add(const BlockSum& block, Weft weft) const {
    if (block.move.rescales) rescale(block.move);
    for (Index lane = 0; lane < kLanes; lane += simd::kWidth) {
      simd::store(sum_ + lane, simd::load(sum_ + lane) + simd::load(block.sums + lane));
    }
    const bool first = !has_out_ && block.sections.are_whole(queries_);
    if (!has_out_ && !first) out_.clear();
    has_out_ = true;
    const bool writes = first && keys_ == Keys::kOneBlock && output_ == Output::kOverwrite;
    const View to = writes ? out() : View();
    if (writes) close();
    const float* p = block.p;
    for (const Section& section : block.sections) {
      const LaneSums::Product product{
          .p = p,
          .p_stride = section.vectors * simd::kWidth,
          .rows = block.value.from_row(section.rows.begin - block.begin),
          .depth = section.rows.size(),
          .first = section.first,
          .vectors = section.vectors,
          .lanes = section.lanes(queries_).size(),
          .output = first ? Output::kOverwrite : Output::kAdd,
          .to = to,
          .factors = writes ? shares_.own : nullptr};
      out_.add(product, weft);
      p += SectionScores::floats_of(section);
    }
    return weft;
  }

  /// Writes outputs and statistics; kAdd: merges with what they hold.
  void finish() const {
    if (!has_out_) {
      if (output_ == Output::kAdd) return;
      out_.clear();
    }
    const View to = out();
    close();
    out_.write([&](Index i) { return shares_.own[i]; }, [&](Index i) { return shares_.held[i]; },
               output_, to);
  }

 private:
  /// Scores of a register tile of keys at a time, to rows of kRow floats.
  template <int Vectors, Index kRow>
  struct Scoring {
    Rows key;
    const float* query;  // from the first of the vectors on
    Index head_dim;
    float* scores;
    RowsAhead* ahead;
    Lanes<Vectors> start = {}, maxima = least<Vectors>();

    template <int kRows>
    ARENA_INLINE void operator()(Index j) {
      Accumulators<Vectors, kRows> tile;
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA { tile.at[r][c] = start.at[c]; });
      tile.multiply_add(RowTile{key.data + j * key.stride, key.stride}, query, kLanes, head_dim,
                        ahead->weft());
      ahead->after_tile();
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        maxima.at[c] = simd::maximum(maxima.at[c], tile.at[r][c]);
      });
      tile.store(scores + j * kRow, kRow);
    }
  };
  template <int Vectors, Index kRow>
  Lanes<Vectors> score_vectors(int first, const Rows& key, Index count, float* scores,
                               RowsAhead& ahead) const {
    Scoring<Vectors, kRow> scoring{key, query_ + first * simd::kWidth, head_dim_, scores, &ahead};
    for (int c = 0; c < Vectors; ++c) scoring.start.at[c] = start_of_scores(first + c);
    return for_row_tiles<Vectors>(count, scoring).maxima;
  }

  void rescale(const Move& move) const {
    rescale_sums(move);
    alignas(kAlignment) float factors[kLanes];
    for (int c = 0; c < kVectors; ++c) simd::store(factors + c * simd::kWidth, move.factors.at[c]);
    out_.scale(factors, queries_.size());
  }

  Index head_dim_ = 0;
  Keys keys_ = Keys::kBlocks;
  Index few_begin_ = 0;     // lanes from here on, if any, are few_
  float* query_ = nullptr;  // [head_dim][kLanes]
  FewLanes few_;
  LaneSums out_;
};

/// Blocks of keys on their way into groups: the exponentials of one are woven into the product with
/// values of the one before.
class VectorPipeline {
 public:
  VectorPipeline(Workspace& workspace, Index head_dim) {
    keys_ = workspace.take<float>(floats(head_dim)).data();
    for (float*& space : value_spaces_) space = workspace.take<float>(floats(head_dim)).data();
    for (float*& space : score_spaces_) space = workspace.take<float>(kScores).data();
  }
  static Index bytes(Index head_dim) {
    return 3 * stored_bytes<float>(floats(head_dim)) + 2 * stored_bytes<float>(kScores);
  }

  /// What attends next, and something does, sees keys of this block.
  void start(const HeadInputs& in, Range block) {
    block_ = block;
    // the values of the block before may still be pending, so blocks take turns
    std::swap(value_spaces_[0], value_spaces_[1]);
    key_ = contiguous_rows(in.key, block.begin, block.size(), keys_);
    value_ = contiguous_rows(in.value, block.begin, block.size(), value_spaces_[0]);
  }

  /// Whether something waits to be added to the group.
  bool holds(const VectorGroup& group) const { return pending_->group == &group; }

  void attend(const VectorGroup& group, const TileMask& mask, Range keys, Cover cover,
              RowsAhead& ahead) {
    std::swap(score_spaces_[0], score_spaces_[1]);
    VectorGroup::BlockSum& next = *next_;
    next.group = &group;
    next.value = value_;
    next.begin = block_.begin;
    next.p = score_spaces_[0];
    next.sections.set(keys, group.queries(), cover,
                      [&](Range some) { return mask.queries_of(some, group.queries()); });
    Lanes<VectorGroup::kVectors> maxima = VectorGroup::least<VectorGroup::kVectors>();
    for_sections(next, [&]<int Vectors>(const Section& section, float* scores) {
      const auto raised = score<Vectors>(group, mask, section, scores, cover, ahead);
      for (int c = 0; c < Vectors; ++c) {
        Vec& largest = maxima.at[section.first + c];
        largest = simd::maximum(largest, raised.at[c]);
      }
    });
    group.move_reference(maxima, next.move);
    if (next.move.any) {
      for_sections(next, [&]<int Vectors>(const Section& section, float* scores) {
        VectorGroup::shift_scores<Vectors>(next.move, section.first, scores, section.rows.size());
      });
    }
    hide_rows_beyond(next);
    std::fill_n(next.sums, kLanes, 0.0F);
    const Index tiles = pending_->group ? pending_->group->product_tiles() : 0;
    with_forward_pace(tiles, [&]<int kPace>() {
      Exponentials<kPace> exponentials({score_spaces_[0], next.sections}, next.sums);
      if (pending_->group) exponentials = add_pending(exponentials, ahead);
      exponentials.finish();
    });
    pending_->group = nullptr;
    std::swap(next_, pending_);
  }

  void flush() {
    if (pending_->group) pending_->group->add(*pending_, no_weft);
    pending_->group = nullptr;
  }

 private:
  static constexpr Index kLanes = VectorGroup::kLanes;
  static constexpr Index kScores = VectorGroup::kKeyBlock * kLanes;

  template <class Weft>
  Weft add_pending(Weft weft, RowsAhead& ahead) const {
    if (simd::kManyRegisters && ahead.hurries()) {
      return pending_->group->add(*pending_, WithRowsAhead<Weft>{weft, &ahead}).weft;
    }
    return pending_->group->add(*pending_, weft);
  }

  /// body.operator()<Vectors>(section, its scores) for each.
  template <class Body>
  void for_sections(const VectorGroup::BlockSum& block, const Body& body) const {
    float* scores = score_spaces_[0];
    for (const Section& section : block.sections) {
      with_vectors(section.vectors * simd::kWidth,
                   [&]<int Vectors>() { body.template operator()<Vectors>(section, scores); });
      scores += SectionScores::floats_of(section);
    }
  }

  /// Those that fill up a register tile.
  void hide_rows_beyond(const VectorGroup::BlockSum& block) const {
    for_sections(block, [&]<int Vectors>(const Section& section, float* scores) {
      constexpr Index kRow = Vectors * simd::kWidth;
      std::fill(scores + section.rows.size() * kRow, scores + SectionScores::floats_of(section),
                -std::numeric_limits<float>::infinity());
    });
  }

  template <int Vectors>
  Lanes<Vectors> score(const VectorGroup& group, const TileMask& mask, const Section& section,
                       float* scores, Cover cover, RowsAhead& ahead) const {
    const Range keys = section.rows, queries = section.lanes(group.queries());
    const Rows key = key_.from_row(keys.begin - block_.begin);
    const auto maxima = group.score<Vectors>(section.first, key, keys.size(), scores, ahead);
    if (cover == Cover::kAll || mask.cover(queries, keys) == Cover::kAll) return maxima;
    mask.hide(queries, keys, {scores, 1, Vectors * simd::kWidth});
    return VectorGroup::maxima_of<Vectors>(scores, keys.size());
  }

  static Index floats(Index head_dim) {
    return VectorGroup::kKeyBlock * round_up(head_dim, simd::kWidth);
  }

  Range block_{};
  Rows key_{}, value_{};
  float* keys_;
  // two of each, because a product is pending while the next scores are made
  float *value_spaces_[2], *score_spaces_[2];
  VectorGroup::BlockSum sums_[2];
  VectorGroup::BlockSum *next_ = &sums_[0], *pending_ = &sums_[1];
};

}  // namespace arena::softmax_forward_detail
