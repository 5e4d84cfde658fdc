// Backward of softmax attention over written scores, which are written again.
//
// Keys are cut into chunks, a function of key_len only; each chunk has its own part of what belongs
// to queries, and parts are added in the order of their chunks, so that threads change nothing.

#include "harness/layers/rows.hpp"
#include "variants/engine/explicit_softmax_tile.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

using namespace explicit_softmax_detail;  // NOLINT(google-build-using-namespace): its only users

/// What tiles of backward share.
struct Backward {
  const ScoredValues& in;
  const HeadOutputGrads& d_outputs;
  const ConstView& statistics;
  const float* shift;  // [query_len]: <d_out, out>
  View d_value;
};

/// A tile of backward: probabilities and derivatives of scores.
class BackwardTile {
 public:
  BackwardTile(Workspace& workspace, const Backward& problem)
      : problem_(problem),
        scores_(workspace.take<float>(kTileSize).data()),
        d_scores_(workspace.take<float>(kTileSize).data()) {}

  static Index bytes() { return 2 * stored_bytes<float>(kTileSize); }

  /// part [queries, sum of the sources' widths] is added to.
  void run(Range queries, Range keys, const View& part) {
    const ScoredValues& in = problem_.in;
    const ConstView d_out = problem_.d_outputs.out.row_slice(queries.begin, queries.size());
    const View probabilities = write_scores(in, queries, keys, scores_);
    const View d_scores(d_scores_, queries.size(), keys.size(), kKeyBlock);
    multiply(d_out, transpose(in.value.row_slice(keys.begin, keys.size())), d_scores,
             Output::kOverwrite);
    differentiate(queries, keys);
    multiply(transpose(probabilities), d_out, problem_.d_value.row_slice(keys.begin, keys.size()),
             Output::kAdd);
    Index column = 0;
    for (const ScoreSource* source : in.scores) {
      const Index width = source->part_width();
      source->add_gradients(queries, keys, d_scores, part.column_slice(column, width));
      column += width;
    }
  }

 private:
  /// Scores become probabilities p, and their derivatives d_p become p * (d_p - shift).
  void differentiate(Range queries, Range keys) {
    const Index cols = whole_vectors(keys.size());
    for (Index i = queries.begin; i < queries.end; ++i) {
      float* const row = scores_ + (i - queries.begin) * kKeyBlock;
      float* const d_row = d_scores_ + (i - queries.begin) * kKeyBlock;
      const Vec reference(problem_.statistics(0, i)), log2_sum(problem_.statistics(1, i));
      const Vec shift(problem_.shift[i]);
      for (Index j = 0; j < cols; j += simd::kWidth) {
        const Vec p = simd::exp2(exponent(simd::load(row + j), reference) - log2_sum);
        simd::store(row + j, p);
        simd::store(d_row + j, p * (simd::load(d_row + j) - shift));
      }
    }
  }

  const Backward& problem_;
  float* scores_;    // [kQueryBlock][kKeyBlock]
  float* d_scores_;  // the same
};

Index chunk_count(Index key_len) {
  const Index length = softmax_chunk_len(key_len);
  return (key_len + length - 1) / length;
}

Range chunk_keys(Index chunk, Index key_len) {
  const Index length = softmax_chunk_len(key_len);
  return {chunk * length, std::min((chunk + 1) * length, key_len)};
}

/// Chunks under way together: their number sets how many parts stand in memory.
Index chunks_at_once(Index workers, Index key_len) {
  return workers == 1 ? 1 : chunk_count(key_len);
}

/// part [query_len, width] holds the sums of this chunk only.
void run_chunk(const Backward& problem, Range chunk, View part, Workspace& workspace) {
  const WorkspaceScope scope(workspace);
  const TileMask& mask = problem.in.mask;
  BackwardTile tile(workspace, problem);
  zero_rows(part);
  for_blocks(mask.queries_of(chunk, {0, part.rows()}), kQueryBlock, [&](Range queries) {
    for_blocks(mask.keys_of(queries, chunk), kKeyBlock, [&](Range keys) {
      if (mask.cover(queries, keys) == Cover::kNone) return;
      tile.run(queries, keys, part.row_slice(queries.begin, queries.size()));
    });
  });
}

void add_part(const ScoredValues& in, ConstView part) {
  Index column = 0;
  for (const ScoreSource* source : in.scores) {
    const Index width = source->part_width();
    if (width > 0) source->add_part({0, part.rows()}, part.column_slice(column, width));
    column += width;
  }
}

Index part_width_of(const ScoredValues& in) {
  Index width = 0;
  for (const ScoreSource* source : in.scores) width += source->part_width();
  return width;
}

}  // namespace

void explicit_softmax_backward(const Team& team, const ScoredValues& in,
                               const HeadOutputGrads& d_outputs, const ConstView& statistics,
                               View d_value) {
  const Index query_len = d_outputs.out.rows(), key_len = in.value.rows();
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  float* const shift = workspace.take<float>(query_len).data();
  dots_of_rows(d_outputs.out, d_outputs.forward_out, shift);
  const Index width = part_width_of(in), chunks = chunk_count(key_len);
  const Index at_once = chunks_at_once(team.size(), key_len);
  const View parts = workspace.matrix(at_once * query_len, width);
  zero_rows(d_value);
  const Backward problem{in, d_outputs, statistics, shift, d_value};
  for (Index first = 0; first < chunks; first += at_once) {
    const Index count = std::min(at_once, chunks - first);
    const auto part = [&](Index slot) { return parts.row_slice(slot * query_len, query_len); };
    team.for_each(count, [&](Index slot, const Team& worker) {
      run_chunk(problem, chunk_keys(first + slot, key_len), part(slot), worker.workspace());
    });
    for (Index slot = 0; slot < count; ++slot) add_part(in, part(slot));
  }
}

ExplicitSoftmaxScratch explicit_softmax_backward_scratch(const Extents& extents, Index part_width,
                                                         Index workers) {
  const Index parts = chunks_at_once(workers, extents.key_len) * extents.query_len * part_width;
  return {
      stored_bytes<float>(extents.query_len) + stored_bytes<float>(parts) + BackwardTile::bytes(),
      BackwardTile::bytes()};
}

}  // namespace arena
