// Forward of softmax attention over written scores.

#include <cmath>

#include "harness/layers/micro_kernel.hpp"
#include "harness/layers/rows.hpp"
#include "variants/engine/explicit_softmax_tile.hpp"

namespace arena {
namespace {

using namespace explicit_softmax_detail;  // NOLINT(google-build-using-namespace): its only users

constexpr float kUnset = std::numeric_limits<float>::lowest();
/// In units of log2: a row's reference moves only when a score exceeds it by more.
constexpr float kHeadroom = 8;

/// In lane r what `combine` makes of all lanes of row_vector(r); `unused` for r >= rows.
template <class RowVector, class Combine>
Vec across_lanes(Index rows, Vec unused, const RowVector& row_vector, const Combine& combine) {
  Vec result = unused;
  simd::transpose([&](Index r) ARENA_INLINE_LAMBDA { return r < rows ? row_vector(r) : unused; },
                  [&](Index, Vec lanes) ARENA_INLINE_LAMBDA { result = combine(result, lanes); });
  return result;
}

/// A block of queries in forward, by which blocks of keys come.
class QueryBlock {
 public:
  QueryBlock(Workspace& workspace, const ScoredValues& in)
      : in_(in),
        space_(workspace.take<float>(kTileSize).data()),
        reference_(workspace.take<float>(kQueryBlock).data()),
        sum_(workspace.take<float>(kQueryBlock).data()) {}

  static Index bytes() {
    return stored_bytes<float>(kTileSize) + 2 * stored_bytes<float>(kQueryBlock);
  }

  void run(Range queries, View out, View statistics) {
    zero_rows(out);
    std::fill_n(reference_, kQueryBlock, kUnset);
    std::fill_n(sum_, kQueryBlock, 0.0F);
    for_blocks(in_.mask.keys_of(queries, {0, in_.value.rows()}), kKeyBlock, [&](Range keys) {
      if (in_.mask.cover(queries, keys) == Cover::kNone) return;
      const View scores = write_scores(in_, queries, keys, space_);
      for (Index i = 0; i < queries.size(); i += simd::kWidth) {
        const Index rows = std::min(simd::kWidth, queries.size() - i);
        exponentiate(i, rows, whole_vectors(keys.size()), out.row_slice(i, rows));
      }
      multiply(scores, in_.value.row_slice(keys.begin, keys.size()), out, Output::kAdd);
    });
    finish(queries, out, statistics);
  }

 private:
  /// Scores of rows [first, first + rows) become their exponentials; out is rescaled where a
  /// reference moves.
  void exponentiate(Index first, Index rows, Index cols, View out) {
    float* const scores = space_ + first * kKeyBlock;
    const Vec maxima = across_lanes(
        rows, Vec(kUnset),
        [&](Index r) {
          Vec maximum(kUnset);
          for (Index j = 0; j < cols; j += simd::kWidth) {
            maximum = simd::maximum(maximum, simd::load(scores + r * kKeyBlock + j));
          }
          return maximum;
        },
        [](Vec x, Vec y) { return simd::maximum(x, y); });
    move_references(first, maxima, out);
    const Vec sums = across_lanes(
        rows, Vec(0.0F),
        [&](Index r) {
          const Vec reference(reference_[first + r]);
          Vec sum(0.0F);
          for (Index j = 0; j < cols; j += simd::kWidth) {
            float* const place = scores + r * kKeyBlock + j;
            const Vec p = simd::exp2(exponent(simd::load(place), reference));
            simd::store(place, p);
            sum = sum + p;
          }
          return sum;
        },
        [](Vec x, Vec y) { return x + y; });
    simd::store(sum_ + first, simd::load(sum_ + first) + sums);
  }

  void move_references(Index first, Vec maxima, View out) {
    const Vec old = simd::load(reference_ + first);
    const Vec scaled = simd::maximum(maxima * Vec(std::numbers::log2e_v<float>), Vec(kUnset));
    const auto moves = scaled > old + Vec(kHeadroom);
    if (!simd::any(moves)) return;
    const Vec moved = simd::select(moves, scaled, old);
    const Vec factor = simd::exp2(old - moved);
    simd::store(reference_ + first, moved);
    simd::store(sum_ + first, simd::load(sum_ + first) * factor);
    float factors[simd::kWidth];
    simd::store(factors, factor);
    for (Index r = 0; r < out.rows(); ++r) out.row(r) *= factors[r];
  }

  void finish(Range queries, View out, View statistics) const {
    for (Index i = 0; i < queries.size(); ++i) {
      const float sum = sum_[i];
      if (sum > 0) out.row(i) *= 1 / sum;
      if (statistics.empty()) continue;
      statistics(0, queries.begin + i) = reference_[i];
      statistics(1, queries.begin + i) = sum > 0 ? std::log2(sum) : 0;
    }
  }

  const ScoredValues& in_;
  float* space_;      // [kQueryBlock][kKeyBlock]: scores, then their exponentials
  float* reference_;  // [kQueryBlock]; kUnset until the row has seen a key
  float* sum_;        // [kQueryBlock]
};

}  // namespace

void explicit_softmax_forward(const Team& team, const ScoredValues& in, View out, View statistics) {
  const Index query_len = out.rows();
  team.for_each((query_len + kQueryBlock - 1) / kQueryBlock, [&](Index b, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    const Range queries{b * kQueryBlock, std::min((b + 1) * kQueryBlock, query_len)};
    QueryBlock block(worker.workspace(), in);
    block.run(queries, out.row_slice(queries.begin, queries.size()), statistics);
  });
}

ExplicitSoftmaxScratch explicit_softmax_forward_scratch() {
  return {QueryBlock::bytes(), QueryBlock::bytes()};
}

}  // namespace arena
