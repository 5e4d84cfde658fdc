#pragma once
// Groups of 32 queries whose products the matrix unit makes, of all parts of floats or of floats
// rounded to bfloat16 (kParts = 1). The vector units meanwhile turn the scores of a block into
// exponentials, add them up and pack them for the product with values, which follows while the next
// block's exponentials are made.

#include "harness/layers/matrix_unit.hpp"
#include "harness/layers/rows.hpp"
#include "variants/engine/rows_ahead.hpp"
#include "variants/engine/softmax_query_lanes.hpp"

#ifdef ARENA_HAS_MATRIX_UNIT

namespace arena::softmax_forward_detail {

using matrix_unit::kBlock;
using matrix_unit::kTile;
using matrix_unit::Operand;
using matrix_unit::Panel;

/// Turns scores [chunks of keys][kBlock] into p = 2^score, their sums and the packed right operand
/// of value^T p. As the weft of products of `steps` steps in all, it is through when they are.
template <int kParts>
class PackedExponentials {
 public:
  PackedExponentials() = default;
  PackedExponentials(const float* scores, Index depth, Panel* to, Index steps)
      : scores_(scores), to_(to), left_(depth * kTile), per_step_(left_), steps_(steps) {}

  ARENA_INLINE void operator()() {
    for (due_ += per_step_; due_ >= steps_ && left_ > 0; due_ -= steps_) row_pair();
  }
  Lanes<2> finish() {
    while (left_ > 0) row_pair();
    return sums_;
  }

 private:
  /// Keys u and u + 16 of a chunk.
  ARENA_INLINE void row_pair() {
    unrolled<2>([&](auto c) ARENA_INLINE_LAMBDA {
      const float* const place = scores_ + row_ * kBlock + c * kTile;
      const Vec low = simd::exp2(simd::load(place));
      const Vec high = simd::exp2(simd::load(place + kTile * kBlock));
      sums_.at[c] = sums_.at[c] + (low + high);
      matrix_unit::store_parts<kParts>(low, high, to_, c, row_);
    });
    --left_;
    if (++row_ == kTile) {
      row_ = 0;
      scores_ += kBlock * kBlock;
      to_ += kParts;
    }
  }

  const float* scores_ = nullptr;
  Panel* to_ = nullptr;  // [chunk][part]
  Index left_ = 0;       // pairs of rows
  Index per_step_ = 0, steps_ = 1, due_ = 0;
  Index row_ = 0;
  Lanes<2> sums_{{Vec(0.0F), Vec(0.0F)}};
};

template <int kParts>
class MatrixPipeline;

template <int kParts>
class MatrixGroup : public QueryLanes<2> {
  using Base = QueryLanes<2>;

 public:
  using Pipeline = MatrixPipeline<kParts>;
  using Session = matrix_unit::Session;
  static constexpr Index kKeyStep = kBlock;
  static constexpr Index kTiles = 2;      // keys are packed for each,
  static constexpr Index kOneTile = 512;  // which takes short sequences a tenth of their time
  static constexpr Index kKeyBlock = 4 * kBlock;

  /// What a block of keys adds to a group.
  struct BlockSum {
    const MatrixGroup* group = nullptr;
    Operand value{};             // transposed left operand
    Index depth = 0;             // chunks of keys
    const Panel* p = nullptr;    // right operand [chunk][part]
    Lanes<kVectors> sums{};      // of p
    typename Base::Move move{};  // of the references before
  };

  void take(Workspace& workspace, Index head_dim) {
    head_dim_ = head_dim;
    query_ = workspace.take<Panel>(query_panels(head_dim)).data();
    out_ = workspace.take<float>(out_floats(head_dim)).data();
    take_lanes(workspace);
  }
  static Index bytes(Index head_dim) {
    return stored_bytes<Panel>(query_panels(head_dim)) + stored_bytes<float>(out_floats(head_dim)) +
           lanes_bytes();
  }

  void start(const SoftmaxProblem& problem, Range queries, float scale, Output output, Keys) {
    start_lanes(problem, queries, output);
    factor_ = scale * std::numbers::log2e_v<float>;
    matrix_unit::pack_right_transposed<kParts>(
        matrix_unit::rows_of(problem.in.query, queries.begin, queries.size()),
        kScaledQuery ? factor_ : 1, query_);
  }

  /// scores[j][:] = <key_j, query> - reference, in whole blocks of keys; returns the largest of
  /// each lane.
  template <class Weft>
  ARENA_INLINE Lanes<kVectors> score(const Operand& key, Index count, float* scores,
                                     Weft&& weft) const {
    alignas(kAlignment) float start[kLanes];
    for (int c = 0; c < kVectors; ++c) simd::store(start + c * simd::kWidth, start_of_scores(c));
    Lanes<kVectors> maxima = Base::least<kVectors>();
    const auto settle = [&](Range rows) ARENA_INLINE_LAMBDA {
      if constexpr (!kScaledQuery) finish_products(scores, start, rows);
      Base::raise(maxima, scores, rows);
    };
    const Index depth = matrix_unit::blocks(head_dim_);
    for (Index r = 0; r < matrix_unit::blocks(count); ++r) {
      if constexpr (kScaledQuery) {
        matrix_unit::Sums::load(start, 0);
      } else {
        matrix_unit::Sums::clear();
      }
      matrix_unit::Sums::multiply_add<kParts>(key.panels + r * key.stride, query_, depth, weft);
      matrix_unit::Sums::store(scores + r * kBlock * kLanes, kLanes);
      // a block behind: the unit still writes this one
      if (r > 0) settle({(r - 1) * kBlock, r * kBlock});
    }
    settle({(matrix_unit::blocks(count) - 1) * kBlock, count});
    return maxima;
  }

  /// out^T = factors out^T + value^T p, sum = factors sum + sums.
  template <class Weft>
  ARENA_INLINE void add(const BlockSum& block, Weft&& weft) const {
    if (block.move.rescales) rescale(block.move);
    for (int c = 0; c < kVectors; ++c) {
      float* const place = sum_ + c * simd::kWidth;
      simd::store(place, simd::load(place) + block.sums.at[c]);
    }
    const auto from_out = [&](Index r, Index) ARENA_INLINE_LAMBDA {
      if (!has_out_) return matrix_unit::Sums::clear();
      matrix_unit::Sums::load(out_ + r * kLanes, kLanes);
    };
    matrix_unit::multiply<kParts>(block.value, matrix_unit::blocks(head_dim_), {block.p, 0}, 1,
                                  block.depth, out_, kLanes, from_out, weft);
    has_out_ = true;
  }

  /// Writes outputs and statistics; kAdd: merges with what they hold.
  void finish() const {
    View out = Base::out();
    if (!has_out_) {
      if (output_ == Output::kAdd) return;
      std::fill_n(out_, out_floats(head_dim_), 0.0F);
    }
    Base::close();
    write_transposed([&](Index lane) { return Base::shares_.own[lane]; }, out_, kLanes, head_dim_,
                     out.rows(), [&](Index lane) { return Base::shares_.held[lane]; }, output_,
                     out.data(), out.outerStride());
  }

 private:
  /// Whether the query is packed with its factor; rounded to bfloat16, it must not be.
  static constexpr bool kScaledQuery = kParts == matrix_unit::kExact;

  /// From products to scores.
  void finish_products(float* scores, const float* start, Range rows) const {
    for (Index j = rows.begin; j < rows.end; ++j) {
      for (Index lane = 0; lane < kLanes; lane += simd::kWidth) {
        float* const place = scores + j * kLanes + lane;
        simd::store(place, Vec(factor_) * simd::load(place) + simd::load(start + lane));
      }
    }
  }

  void rescale(const Move& move) const {
    Base::rescale_sums(move);
    for (int c = 0; c < kVectors; ++c) {
      for (Index d = 0; d < head_dim_; ++d) {
        float* const place = out_ + d * kLanes + c * simd::kWidth;
        simd::store(place, simd::load(place) * move.factors.at[c]);
      }
    }
  }

  static Index out_floats(Index head_dim) { return round_up(head_dim, kBlock) * kLanes; }
  static Index query_panels(Index head_dim) { return matrix_unit::blocks(head_dim) * kParts; }

  Index head_dim_ = 0;
  Panel* query_ = nullptr;  // right operand [chunk of head_dim][part]
  float* out_ = nullptr;    // out^T [head_dim in whole blocks][kLanes]
  float factor_ = 1;        // scale in units of log2
};

/// Blocks of keys on their way into groups: while the matrix unit makes the scores of one and the
/// product with values of the one before the last, the vector units make the exponentials of the
/// last.
template <int kParts>
class MatrixPipeline {
 public:
  using Group = MatrixGroup<kParts>;

  MatrixPipeline(Workspace& workspace, Index head_dim) : depth_(matrix_unit::blocks(head_dim)) {
    keys_ = workspace.take<Panel>(panels(head_dim)).data();
    for (Panel*& space : value_spaces_) space = workspace.take<Panel>(panels(head_dim)).data();
    for (Panel*& space : p_spaces_) space = workspace.take<Panel>(kPPanels).data();
    for (float*& space : score_spaces_) space = workspace.take<float>(kScores).data();
  }
  static Index bytes(Index head_dim) {
    return 4 * stored_bytes<Panel>(panels(head_dim)) +
           2 * (stored_bytes<Panel>(kPPanels) + stored_bytes<float>(kScores));
  }

  /// What attends next, and something does, sees keys of this block.
  void start(const HeadInputs& in, Range block) {
    block_ = block;
    // the values of the two blocks before may still wait
    std::rotate(value_spaces_, value_spaces_ + 2, value_spaces_ + 3);
    matrix_unit::pack_left<kParts>(matrix_unit::rows_of(in.key, block.begin, block.size()), keys_);
    matrix_unit::pack_left_transposed<kParts>(
        matrix_unit::rows_of(in.value, block.begin, block.size()), value_spaces_[0]);
  }

  /// Whether something waits to be added to the group.
  bool holds(const Group& group) const { return ready_.group == &group || last_.group == &group; }

  void attend(const Group& group, const TileMask& mask, Range keys, Cover cover, RowsAhead& ahead) {
    const Index skipped = (keys.begin - block_.begin) / kBlock, row = depth_ * kParts;
    std::swap(score_spaces_[0], score_spaces_[1]);
    float* const scores = score_spaces_[0];
    BlockSum next{
        .group = &group,
        .value = {value_spaces_[0] + skipped * kParts, matrix_unit::blocks(block_.size()) * kParts},
        .depth = matrix_unit::blocks(keys.size())};
    const auto weft = [&]() ARENA_INLINE_LAMBDA {
      exponentials_();
      ahead.one(), ahead.one();
    };
    auto maxima = group.score({keys_ + skipped * row, row}, keys.size(), scores, weft);
    std::fill(scores + keys.size() * kLanes, scores + next.depth * kBlock * kLanes,
              -std::numeric_limits<float>::infinity());
    if (cover == Cover::kSome) {
      mask.hide(group.queries(), keys, {scores, 1, kLanes});
      maxima = Group::template maxima_of<Group::kVectors>(scores, keys.size());
    }
    group.move_reference(maxima, next.move);
    if (next.move.any) {
      Group::template shift_scores<Group::kVectors>(next.move, 0, scores, keys.size());
    }
    if (ready_.group) ready_.group->add(ready_, weft);
    advance(next);
  }

  void flush() {
    for (int stage = 0; stage < 2; ++stage) {
      if (ready_.group) ready_.group->add(ready_, [] {});
      advance({});
    }
  }

 private:
  using BlockSum = typename Group::BlockSum;
  static constexpr Index kLanes = Group::kLanes, kScores = Group::kKeyBlock * kLanes;
  static constexpr Index kChunks = Group::kKeyBlock / kBlock;
  static constexpr Index kPPanels = kChunks * kParts;

  static Index panels(Index head_dim) { return kChunks * matrix_unit::blocks(head_dim) * kParts; }

  /// The last block's exponentials are done: it is ready to be added, and `next` the last.
  void advance(const BlockSum& next) {
    ready_ = last_;
    ready_.sums = exponentials_.finish();
    last_ = next;
    std::swap(p_spaces_[0], p_spaces_[1]);
    last_.p = p_spaces_[0];
    exponentials_ =
        PackedExponentials<kParts>(score_spaces_[0], next.depth, p_spaces_[0],
                                   2 * kChunks * depth_ * matrix_unit::kProducts<kParts>);
  }

  Index depth_;  // chunks of head_dim
  Range block_{};
  Panel* keys_;             // left operand [block of keys][chunk of head_dim][part]
  Panel* value_spaces_[3];  // transposed left operand [block of head_dim][chunk of keys][part]
  Panel* p_spaces_[2];
  float* score_spaces_[2];
  BlockSum last_{}, ready_{};
  PackedExponentials<kParts> exponentials_{};
};

}  // namespace arena::softmax_forward_detail

#endif
