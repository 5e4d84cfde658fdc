// Backward of tiled softmax attention, recomputing the scores: the order of the work.
//
// Keys are cut into chunks, a function of key_len only; each of several chunks has its own d_query
// part, and parts are added in the order of their chunks, so that threads change nothing. What one
// block of keys does stands in the two kinds of blocks.

#include "harness/layers/rows.hpp"
#include "variants/engine/softmax_matrix_key_block.hpp"
#include "variants/engine/softmax_vector_key_block.hpp"

namespace arena {
namespace {

using namespace softmax_backward_detail;  // NOLINT(google-build-using-namespace): its only user

constexpr Index kChunkMin = 8 * kKeyBlock;
constexpr Index kChunks = 4;  // at most: each has a d_query of its own

Index chunk_count(Index key_len) {
  const Index chunk = softmax_chunk_len(key_len);
  return (key_len + chunk - 1) / chunk;
}

/// Chunks under way together: their number sets how many parts of d_query stand in memory.
Index chunks_at_once(Index workers, Index key_len) {
  return workers == 1 ? 1 : chunk_count(key_len);
}

Range chunk_keys(Index chunk, Index key_len) {
  const Index length = softmax_chunk_len(key_len);
  return {chunk * length, std::min((chunk + 1) * length, key_len)};
}

/// Blocks of keys go through the queries Block::kBlocks at a time, so that a tile of queries is
/// brought into cache once for all of them.
template <class Block>
class KeyBlocks {
 public:
  KeyBlocks(Workspace& workspace, const BackwardProblem& problem)
      : problem_(problem), tile_(workspace, problem) {
    for (Block& block : blocks_) block.take(workspace, problem);
  }

  static constexpr Index kKeys = Block::kBlocks * kKeyBlock;
  static Index bytes(Index head_dim) {
    return Block::QueryTile::bytes(head_dim) + Block::kBlocks * Block::bytes(head_dim);
  }

  /// Of at most kKeys keys, before those of `next`.
  void run(Range keys, Range next, const QueryPart& d_query) {
    const Range hull = problem_.mask.queries_of(keys, {0, problem_.in.query.rows()});
    const Queries tiles = hull.size() <= kQueryTile ? Queries::kOneTile : Queries::kTiles;
    Index count = 0;
    for (Index j = keys.begin; j < keys.end; j += kKeyBlock) {
      blocks_[count++].start({j, std::min(j + kKeyBlock, keys.end)}, tiles);
    }
    for (Index i = hull.begin; i < hull.end; i += kQueryTile) {
      const Range queries{i, std::min(i + kQueryTile, hull.end)};
      if (problem_.mask.keys_of(queries, keys).empty()) {
        d_query.start(queries);
        continue;
      }
      expect({queries.end, std::min(queries.end + kQueryTile, hull.end)}, keys, next);
      tile_.start(queries, d_query);
      for (Index b = 0; b < count; ++b) blocks_[b].visit(tile_, d_query, ahead_);
      tile_.finish(d_query);
    }
    for (Index b = 0; b < count; ++b) blocks_[b].finish();
  }

 private:
  /// Fetches meanwhile what is needed after this tile.
  void expect(Range queries, Range keys, Range next) {
    ahead_.clear();
    if (!queries.empty()) {
      ahead_.add(problem_.in.query.row_slice(queries.begin, queries.size()));
      ahead_.add(problem_.d_outputs.out.row_slice(queries.begin, queries.size()));
    } else if (!next.empty()) {
      for (const View& to : {problem_.d_in.key, problem_.d_in.value}) {
        ahead_.add(to.row_slice(keys.begin, keys.size()));
      }
      for (const ConstView& of : {problem_.in.key, problem_.in.value}) {
        ahead_.add(of.row_slice(next.begin, next.size()));
      }
    } else {
      ahead_ = problem_.ahead;
    }
  }

  const BackwardProblem& problem_;
  typename Block::QueryTile tile_;
  RowsAhead ahead_;
  Block blocks_[Block::kBlocks];
};

/// body.operator()<Block>() with the blocks of keys for this machine.
template <class Body>
auto with_blocks(const Body& body) {
#ifdef ARENA_HAS_MATRIX_UNIT
  if (matrix_unit::available()) return body.template operator()<MatrixKeyBlock>();
#endif
  return body.template operator()<VectorKeyBlock>();
}

void run_chunk(const BackwardProblem& problem, Range keys, QueryPart part, Workspace& workspace) {
  with_blocks([&]<class Block>() {
    const WorkspaceScope scope(workspace);
    [[maybe_unused]] const typename Block::Session session{};
    KeyBlocks<Block> blocks(workspace, problem);
    constexpr Index kKeys = KeyBlocks<Block>::kKeys;
    if (keys.size() > kKeys) {  // tiles are visited more than once, each time others
      part.start(part.queries);
      part.output = Output::kAdd;
    }
    for (Index j = keys.begin; j < keys.end; j += kKeys) {
      const Index end = std::min(j + kKeys, keys.end);
      blocks.run({j, end}, {end, std::min(end + kKeys, keys.end)}, part);
    }
  });
}

/// d_query += the part, or = it.
void write_part(const QueryPart& part, Output output, View d_query) {
  const ConstView rows(part.data, part.queries.size(), d_query.cols(), part.stride);
  View to = d_query.row_slice(part.queries.begin, part.queries.size());
  if (output == Output::kAdd) {
    to += rows;
  } else {
    to = rows;
  }
}

void zero_outside(Range queries, View d_query) {
  d_query.topRows(queries.begin).setZero();
  d_query.bottomRows(d_query.rows() - queries.end).setZero();
}

/// Whether the only chunk of keys makes d_query itself, which it writes in whole vectors.
bool has_no_parts(Index key_len, Index head_dim) {
  return chunk_count(key_len) == 1 && head_dim % simd::kWidth == 0;
}

/// What may see a chunk of keys: it has these rows of d_query to itself.
Range seen_by_chunk(const TileMask& mask, Index chunk, const Extents& extents) {
  const Range seen = mask.queries_of(chunk_keys(chunk, extents.key_len), {0, extents.query_len});
  return seen.empty() ? Range{0, 0} : seen;
}

}  // namespace

Index softmax_chunk_len(Index key_len) {
  return std::max(kChunkMin, round_up((key_len + kChunks - 1) / kChunks, kChunkMin));
}

Index softmax_chunk_reach(const TileMask& mask, const Extents& extents) {
  Index reach = 0;
  for (Index c = 0; c < chunk_count(extents.key_len); ++c) {
    reach = std::max(reach, seen_by_chunk(mask, c, extents).size());
  }
  return reach;
}

void softmax_backward_into(const Team& team, const HeadInputs& in, float scale,
                           const TileMask& mask, const HeadOutputGrads& d_outputs,
                           const ConstStatistics& statistics, HeadGrads d_in, Output output,
                           const RowsAhead& ahead) {
  const Extents extents{in.query.rows(), in.key.rows()};
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  float* const shift = workspace.take<float>(extents.query_len).data();
  dots_of_rows(d_outputs.out, d_outputs.forward_out, shift);
  for (Index i = 0; i < d_outputs.log_sum_exp.rows(); ++i) shift[i] -= d_outputs.log_sum_exp(i, 0);
  const BackwardProblem problem{in, d_outputs, mask, statistics, shift, scale, d_in, output, ahead};
  const Index chunks = chunk_count(extents.key_len);
  const Index at_once = chunks_at_once(team.size(), extents.key_len);
  const Index width = round_up(in.query.cols(), simd::kWidth);
  const bool whole = has_no_parts(extents.key_len, in.query.cols());
  const Index part_size = whole ? 0 : softmax_chunk_reach(mask, extents) * width;
  float* const parts = workspace.take<float>(at_once * part_size).data();
  if (chunks == 0 && output == Output::kOverwrite) d_in.query.setZero();
  for (Index first = 0; first < chunks; first += at_once) {
    const Index count = std::min(at_once, chunks - first);
    const auto part = [&](Index slot) {
      const Range seen = seen_by_chunk(mask, first + slot, extents);
      if (!whole) return QueryPart{seen, parts + slot * part_size, width, width};
      const Index stride = d_in.query.outerStride();
      return QueryPart{seen, row_of(d_in.query, seen.begin), width, stride, output};
    };
    team.for_each(count, [&](Index slot, const Team& worker) {
      const Range keys = chunk_keys(first + slot, extents.key_len);
      run_chunk(problem, keys, part(slot), worker.workspace());
    });
    for (Index slot = 0; slot < count; ++slot) {
      const Output how = first + slot == 0 ? output : Output::kAdd;
      if (!whole) write_part(part(slot), how, d_in.query);
      if (how == Output::kOverwrite) zero_outside(part(slot).queries, d_in.query);
    }
  }
}

void softmax_backward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                      const HeadOutputGrads& d_outputs, const ConstView& statistics,
                      HeadGrads d_in) {
  softmax_backward_into(team, in, scale, mask, d_outputs, {statistics}, d_in, Output::kOverwrite,
                        {});
}

SoftmaxScratch softmax_backward_scratch(const Extents& extents, Index head_dim, Index chunk_reach,
                                        Index workers) {
  const Index chunks = chunk_count(extents.key_len);
  const Index at_once = chunks_at_once(workers, extents.key_len);
  const Index block = with_blocks([&]<class Block>() { return KeyBlocks<Block>::bytes(head_dim); });
  const Index part =
      has_no_parts(extents.key_len, head_dim) ? 0 : chunk_reach * round_up(head_dim, simd::kWidth);
  const Index caller =
      stored_bytes<float>(extents.query_len) + stored_bytes<float>(at_once * part) + block;
  return {caller, caller + (chunks < workers ? 0 : (workers - 1) * block)};
}

}  // namespace arena
