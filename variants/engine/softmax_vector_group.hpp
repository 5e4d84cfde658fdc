#pragma once
// Groups of queries whose products the vector units make: 64 lanes where vectors have 16. query^T
// is packed once (scaled, in units of log2); keys and values are read as they lie where that is
// fast. The exponentials of a block are woven into the product with the values of the block before.

#include <variant>

#include "variants/engine/rows_ahead.hpp"
#include "variants/engine/softmax_query_lanes.hpp"
#include "variants/engine/softmax_sections.hpp"
#include "variants/engine/softmax_weft.hpp"

namespace arena::softmax_forward_detail {

/// A tile of rows of values and a row of ones below them, whose product is the sum.
template <int kRows>
struct OnesBelow : ColumnOperand {
  static constexpr int kOnes = kRows;
};

class VectorPipeline;

class VectorGroup : public QueryLanes<kTileVectors, kTileRows> {
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
    Sections sections;  // of keys
    const float* p;     // of each section [keys, in whole register tiles][its vectors]
    Move move;          // of the references before
  };

  void take(Workspace& workspace, Index head_dim) {
    query_ = workspace.take<float>(head_dim * kLanes).data();
    take_lanes(workspace, head_dim);
  }
  static Index bytes(Index head_dim) {
    return stored_bytes<float>(head_dim * kLanes) + lanes_bytes(head_dim);
  }

  void start(const ConstView& query, Range queries, float scale) {
    start_lanes(queries);
    static_assert(kLanes == kTileLanes);
    pack_transposed(query, queries.begin, queries.size(), scale * std::numbers::log2e_v<float>,
                    query_);
  }

  /// scores[j][:] = <key_j, query> - reference of the vectors from `first` on; returns the largest
  /// of each lane.
  template <int Vectors>
  Lanes<Vectors> score(int first, Rows key, Index count, float* scores, RowsAhead& ahead) const {
    Lanes<Vectors> maxima = least<Vectors>(), start;
    for (int c = 0; c < Vectors; ++c) start.at[c] = start_of_scores(first + c);
    // copies, which the stores of a tile cannot change
    const float* const query = query_ + first * simd::kWidth;
    const Index head_dim = head_dim_;
    for_tiles<Vectors>(count, [&]<int kRows>(Index j) ARENA_INLINE_LAMBDA {
      Accumulators<Vectors, kRows> tile;
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA { tile.at[r][c] = start.at[c]; });
      tile.multiply_add(RowTile{key.data + j * key.stride, key.stride}, query, kLanes, head_dim,
                        [&](auto) ARENA_INLINE_LAMBDA { ahead.one(); });
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        maxima.at[c] = simd::maximum(maxima.at[c], tile.at[r][c]);
      });
      tile.store(scores + j * Vectors * simd::kWidth, Vectors * simd::kWidth);
    });
    return maxima;
  }

  /// out^T = factors out^T + value^T p, and the same with ones for the sum. A block's own sums
  /// start at zero: more accurate.
  template <class Weft>
  Weft add(const BlockSum& block, Weft weft) const {
    rescale(block.move);
    const bool first = !has_out_ && block.sections.are_whole(queries_);
    if (!has_out_ && !first) clear_out();
    has_out_ = true;
    const float* p = block.p;
    for (const Section& section : block.sections) {
      const Index count = section.rows.size();
      const float* const value =
          block.value.data + (section.rows.begin - block.begin) * block.value.stride;
      with_vectors(section.vectors * simd::kWidth, [&]<int Vectors>() {
        constexpr int kRows = kRowsFor<Vectors>;
        const Product<Vectors> product{{value, block.value.stride}, p, count, section.first, first};
        if (head_dim_ % kRows == 0) {
          weft = add<kRows>(product, weft);
        } else {
          weft = add<kTileRows>(product, weft);
        }
      });
      p += round_up(count, kTileRows) * section.vectors * simd::kWidth;
    }
    return weft;
  }

 private:
  template <int Vectors>
  struct Product {
    ColumnOperand value;
    const float* p;  // [count][Vectors]
    Index count;
    int first;        // of the group's vectors
    bool overwrites;  // out, which holds nothing yet

    static constexpr Index kStride = Vectors * simd::kWidth;
  };

  template <int kRows, int Vectors, class Weft>
  Weft add(const Product<Vectors>& product, Weft weft) const {
    const ColumnOperand& value = product.value;
    float* const out = out_ + product.first * simd::kWidth;
    float* const sum = sum_ + product.first * simd::kWidth;
    Index d = 0;
    if constexpr (simd::kManyRegisters) {
      add_tile<Accumulators<Vectors, kRows + 1>>(
          product, OnesBelow<kRows>{value}, weft,
          [&](int r) ARENA_INLINE_LAMBDA { return r < kRows ? out + r * kLanes : sum; });
      d = kRows;
    } else {
      add_sums(product, sum);
    }
    for (; d < head_dim_; d += kRows) {
      add_tile<Accumulators<Vectors, kRows>>(
          product, ColumnOperand{value.data + d, value.stride}, weft,
          [&](int r) ARENA_INLINE_LAMBDA { return out + (d + r) * kLanes; });
    }
    return weft;
  }

  /// place_of_row(r)[:] += sum over keys of rows.at(r, key) p[key][:].
  template <class Tile, int Vectors, class Operand, class Weft, class Place>
  ARENA_INLINE static void add_tile(const Product<Vectors>& product, const Operand& rows,
                                    Weft& weft, const Place& place_of_row) {
    Tile tile;
    tile.clear();
    tile.multiply_add(rows, product.p, product.kStride, product.count, weft);
    if (product.overwrites) {
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        simd::store(place_of_row(r) + c * simd::kWidth, tile.at[r][c]);
      });
      return;
    }
    tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      float* const place = place_of_row(r) + c * simd::kWidth;
      simd::store(place, simd::load(place) + tile.at[r][c]);
    });
  }

  /// Where registers leave no room for the sum beside a tile. Every kTileRows-th row by itself, to
  /// hide the latency of an addition.
  template <int Vectors>
  static void add_sums(const Product<Vectors>& product, float* sums) {
    Accumulators<Vectors> parts;
    parts.clear();
    Index j = 0;
    for (; j + kTileRows <= product.count; j += kTileRows) {
      parts.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        simd::add_term(parts.at[r][c],
                       simd::load(product.p + (j + r) * product.kStride + c * simd::kWidth));
      });
    }
    for (; j < product.count; ++j) {
      for (int c = 0; c < Vectors; ++c) {
        simd::add_term(parts.at[0][c],
                       simd::load(product.p + j * product.kStride + c * simd::kWidth));
      }
    }
    for (int c = 0; c < Vectors; ++c) {
      float* const place = sums + c * simd::kWidth;
      const Vec sum = (parts.at[0][c] + parts.at[1][c]) + (parts.at[2][c] + parts.at[3][c]);
      simd::store(place, simd::load(place) + sum);
    }
  }

  float* query_ = nullptr;  // [head_dim][kLanes]
};

/// Blocks of keys on their way into groups: the exponentials of one are woven into the product with
/// values of the one before.
class VectorPipeline {
 public:
  VectorPipeline(Workspace& workspace, Index head_dim) : head_dim_(head_dim) {
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
    key_ = whole_tiles_of_rows(in.key, block.begin, block.size(), keys_);
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
    float* end = score_spaces_[0];
    Lanes<VectorGroup::kVectors> maxima = VectorGroup::least<VectorGroup::kVectors>();
    for_sections(next, [&]<int Vectors>(const Section& section, float* scores) {
      const auto raised = score<Vectors>(group, mask, section, scores, cover, ahead);
      for (int c = 0; c < Vectors; ++c) {
        Vec& largest = maxima.at[section.first + c];
        largest = simd::maximum(largest, raised.at[c]);
      }
      end = scores + round_up(section.rows.size(), kTileRows) * Vectors * simd::kWidth;
    });
    group.move_reference(maxima, next.move);
    if (next.move.any) {
      for_sections(next, [&]<int Vectors>(const Section& section, float* scores) {
        VectorGroup::shift_scores<Vectors>(next.move, section.first, scores, section.rows.size());
      });
    }
    with_forward_pace(head_dim_, [&]<int kPace>() {
      Exponentials<kPace> exponentials{score_spaces_[0], end};
      if (pending_->group) exponentials = pending_->group->add(*pending_, exponentials);
      while (exponentials.scores != exponentials.end) exponentials.two();
    });
    pending_->group = nullptr;
    std::swap(next_, pending_);
  }

  void flush() {
    if (pending_->group) pending_->group->add(*pending_, [](auto) {});
    pending_->group = nullptr;
  }

 private:
  static constexpr Index kLanes = VectorGroup::kLanes;
  static constexpr Index kScores = VectorGroup::kKeyBlock * kLanes;

  /// body.operator()<Vectors>(section, its scores) for each.
  template <class Body>
  void for_sections(const VectorGroup::BlockSum& block, const Body& body) const {
    float* scores = score_spaces_[0];
    for (const Section& section : block.sections) {
      with_vectors(section.vectors * simd::kWidth,
                   [&]<int Vectors>() { body.template operator()<Vectors>(section, scores); });
      scores += round_up(section.rows.size(), kTileRows) * section.vectors * simd::kWidth;
    }
  }

  template <int Vectors>
  Lanes<Vectors> score(const VectorGroup& group, const TileMask& mask, const Section& section,
                       float* scores, Cover cover, RowsAhead& ahead) const {
    const Range keys = section.rows, queries = section.lanes(group.queries());
    const Rows key{key_.data + (keys.begin - block_.begin) * key_.stride, key_.stride};
    const auto maxima = group.score<Vectors>(section.first, key, keys.size(), scores, ahead);
    if (cover == Cover::kAll || mask.cover(queries, keys) == Cover::kAll) return maxima;
    mask.hide(queries, keys, {scores, 1, Vectors * simd::kWidth});
    return VectorGroup::maxima_of<Vectors>(scores, keys.size());
  }

  static Index floats(Index head_dim) {
    return VectorGroup::kKeyBlock * round_up(head_dim, kTileRows);
  }

  Index head_dim_;
  Range block_{};
  Rows key_{}, value_{};
  float* keys_;
  // two of each, because a product is pending while the next scores are made
  float *value_spaces_[2], *score_spaces_[2];
  VectorGroup::BlockSum sums_[2];
  VectorGroup::BlockSum *next_ = &sums_[0], *pending_ = &sums_[1];
};

}  // namespace arena::softmax_forward_detail
