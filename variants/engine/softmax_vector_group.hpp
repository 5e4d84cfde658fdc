#pragma once
// Groups of queries whose products the vector units make: 64 lanes where vectors have 16. query^T
// is packed once (scaled, in units of log2); keys and values are read as they lie where that is
// fast. The exponentials of a block are woven into the product with the values of the block before.

#include <variant>

#include "variants/engine/softmax_query_lanes.hpp"
#include "variants/engine/softmax_weft.hpp"

namespace arena::softmax_forward_detail {

/// A tile of rows of values and a row of ones below them, whose product is the sum.
struct OnesBelow : ColumnOperand {
  static constexpr int kOnes = kTileRows;
};

class VectorPipeline;

class VectorGroup : public QueryLanes<kTileVectors, kTileRows> {
 public:
  using Pipeline = VectorPipeline;
  using Session = std::monostate;               // of a worker
  static constexpr Index kKeyStep = kTileRows;  // within a block a group sees whole steps of keys
  static constexpr Index kTiles = 4, kOneTile = 0;
  static constexpr Index kKeyBlock = 128 / kTileRows * kTileRows;

  /// What a block of keys adds to a group.
  struct BlockSum {
    const VectorGroup* group = nullptr;
    Rows value{};
    Index count = 0;            // of keys
    const float* p = nullptr;   // [count][kLanes]
    bool rescale = false;       // what the group has
    Lanes<kVectors> factors{};  // by these
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
    clear_out();
    pack_lanes<kLanes>(query, queries, scale * std::numbers::log2e_v<float>, query_);
  }

  /// scores[j][:] = <key_j, query> - reference; returns the largest of each lane.
  template <int Vectors>
  Lanes<Vectors> score(const Rows& key, Index count, float* scores) const {
    Lanes<Vectors> maxima = least<Vectors>(), start;
    for (int c = 0; c < Vectors; ++c) start.at[c] = start_of_scores(c);
    for (Index j = 0; j < count; j += kTileRows) {
      Accumulators<Vectors> tile;
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA { tile.at[r][c] = start.at[c]; });
      tile.multiply_add(RowTile{key.data + j * key.stride, key.stride}, query_, kLanes, head_dim_);
      tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        maxima.at[c] = simd::maximum(maxima.at[c], tile.at[r][c]);
      });
      tile.store(scores + j * kLanes, kLanes);
    }
    return maxima;
  }

  /// out^T = factors out^T + value^T p, and the same with ones for the sum. A block's own sums
  /// start at zero: more accurate.
  template <int Vectors, class Weft>
  Weft add(const BlockSum& block, Weft weft) const {
    const ColumnOperand value{block.value.data, block.value.stride};
    if (block.rescale) rescale<Vectors>(block.factors);
    Index d = 0;
    if constexpr (simd::kManyRegisters) {
      add_tile<Accumulators<Vectors, kTileRows + 1>>(
          block, OnesBelow{value}, weft,
          [&](int r) ARENA_INLINE_LAMBDA { return r < kTileRows ? out_ + r * kLanes : sum_; });
      d = kTileRows;
    } else {
      add_sums<Vectors>(block);
    }
    for (; d < head_dim_; d += kTileRows) {
      add_tile<Accumulators<Vectors>>(block, ColumnOperand{value.data + d, value.stride}, weft,
                                      [&](int r)
                                          ARENA_INLINE_LAMBDA { return out_ + (d + r) * kLanes; });
    }
    return weft;
  }

 private:
  /// place_of_row(r)[:] += sum over keys of rows.at(r, key) p[key][:].
  template <class Tile, class Operand, class Weft, class Place>
  ARENA_INLINE static void add_tile(const BlockSum& block, const Operand& rows, Weft& weft,
                                    const Place& place_of_row) {
    Tile tile;
    tile.clear();
    tile.multiply_add(rows, block.p, kLanes, block.count, weft);
    tile.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      float* const place = place_of_row(r) + c * simd::kWidth;
      simd::store(place, simd::load(place) + tile.at[r][c]);
    });
  }

  /// Where registers leave no room for the sum beside a tile. Every kTileRows-th row by itself, to
  /// hide the latency of an addition.
  template <int Vectors>
  void add_sums(const BlockSum& block) const {
    Accumulators<Vectors> parts;
    parts.clear();
    Index j = 0;
    for (; j + kTileRows <= block.count; j += kTileRows) {
      parts.for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
        simd::add_term(parts.at[r][c], simd::load(block.p + (j + r) * kLanes + c * simd::kWidth));
      });
    }
    for (; j < block.count; ++j) {
      for (int c = 0; c < Vectors; ++c) {
        simd::add_term(parts.at[0][c], simd::load(block.p + j * kLanes + c * simd::kWidth));
      }
    }
    for (int c = 0; c < Vectors; ++c) {
      float* const place = sum_ + c * simd::kWidth;
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
  VectorPipeline(Workspace& workspace, Index head_dim, const TileMask& mask)
      : mask_(mask), head_dim_(head_dim) {
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

  void attend(const VectorGroup& group, Range keys, Cover cover) {
    with_vectors(group.queries().size(),
                 [&]<int Vectors>() { attend<Vectors>(group, keys, cover); });
  }

  template <int Vectors = VectorGroup::kVectors>
  void flush() {
    if (pending_.group) pending_.group->add<Vectors>(pending_, [](auto) {});
    pending_ = {};
  }

 private:
  static constexpr Index kLanes = VectorGroup::kLanes;
  static constexpr Index kScores = VectorGroup::kKeyBlock * kLanes;

  template <int Vectors>
  void attend(const VectorGroup& group, Range keys, Cover cover) {
    const Index skipped = keys.begin - block_.begin;
    std::swap(score_spaces_[0], score_spaces_[1]);
    float* const scores = score_spaces_[0];
    VectorGroup::BlockSum next{&group, skip(value_, skipped), keys.size(), scores};
    Lanes<Vectors> maxima = group.score<Vectors>(skip(key_, skipped), next.count, scores);
    if (cover == Cover::kSome) {
      mask_.hide(group.queries(), keys, {scores, 1, kLanes});
      maxima = VectorGroup::maxima_of<Vectors>(scores, next.count);
    }
    next.rescale = group.move_reference(maxima, scores, next.count, next.factors);
    with_forward_pace(head_dim_, [&]<int kPace>() {
      Exponentials<Vectors, kPace> exponentials{scores,
                                                scores + round_up(next.count, kTileRows) * kLanes};
      if (pending_.group) {
        exponentials = pending_.group->add<VectorGroup::kVectors>(pending_, exponentials);
      }
      while (exponentials.scores != exponentials.end) exponentials.two();
    });
    pending_ = next;
    if constexpr (Vectors < VectorGroup::kVectors) flush<Vectors>();
  }

  static Index floats(Index head_dim) {
    return VectorGroup::kKeyBlock * round_up(head_dim, kTileRows);
  }
  static Rows skip(const Rows& rows, Index count) {
    return {rows.data + count * rows.stride, rows.stride};
  }

  const TileMask& mask_;
  Index head_dim_;
  Range block_{};
  Rows key_{}, value_{};
  float* keys_;
  // two of each, because a product is pending while the next scores are made
  float *value_spaces_[2], *score_spaces_[2];
  VectorGroup::BlockSum pending_{};
};

}  // namespace arena::softmax_forward_detail
