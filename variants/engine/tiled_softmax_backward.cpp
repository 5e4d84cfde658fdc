// Backward of tiled softmax attention, recomputing the scores: keys stand in the vector lanes.
//
// For a block of keys, key^T and value^T are packed once; for each tile of queries that sees it:
//   scores[i][:] = sum_d query[i][d] key^T[d][:] (scaled),  p = 2^(scores - max_i - log2_sum_i)
//   d_s[i][:] = p * (sum_d d_out[i][d] value^T[d][:] - shift_i),
//                                          shift_i = <d_out_i, out_i> - d_log_sum_exp_i
//   d_value^T[d][:] += sum_i d_out[i][d] p[i][:],  d_key^T[d][:] += sum_i query[i][d] d_s[i][:]
//   d_query[i][:] += sum_j d_s[i][j] key[j][:]
// Keys are cut into chunks, a function of key_len only; each chunk has its own d_query part, and
// parts are added in the order of their chunks, so that threads change nothing.

#include <numbers>

#include "variants/engine/micro_kernel.hpp"
#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

using simd::Vec;

constexpr Index kPanels = std::max(Index{1}, 64 / kTileLanes);
constexpr Index kKeyBlock = kPanels * kTileLanes;
constexpr Index kQueryTile = 64;  // a multiple of kTileRows
constexpr Index kChunkMin = 4 * kKeyBlock;
constexpr Index kChunks = 16;  // at most

/// acc[r][:] += a b for a tile of kTileRows rows and `vectors` vectors of columns, added to `to`.
template <class Operand>
void add_product(const Operand& a, const float* b, Index b_stride, Index depth, Index vectors,
                 float* to, Index stride, Index rows) {
  const auto part = [&]<int Vectors>(Index column) {
    Accumulators<Vectors> tile;
    tile.clear();
    tile.multiply_add(a, b + column, b_stride, depth);
    tile.add_to(to + column, stride, rows);
  };
  Index c = 0;
  for (; c + kTileVectors <= vectors; c += kTileVectors) {
    part.template operator()<kTileVectors>(c * simd::kWidth);
  }
  for (; c < vectors; ++c) part.template operator()<1>(c * simd::kWidth);
}

struct BackwardProblem {
  const HeadInputs& in;
  const HeadOutputGrads& d_outputs;
  const TileMask& mask;
  const ConstView& statistics;
  const float* shift;  // [query_len]
  float scale;
  HeadGrads d_in;
};

/// The part of d_query (not yet scaled) that one chunk of keys gives.
struct QueryPart {
  Range queries{};
  float* data = nullptr;  // [queries][width]
  Index width = 0;        // head_dim in whole vectors
};

class KeyBlock {
 public:
  KeyBlock(Workspace& workspace, const BackwardProblem& problem)
      : problem_(problem),
        head_dim_(problem.in.query.cols()),
        width_(round_up(head_dim_, simd::kWidth)),
        rows_(round_up(head_dim_, kTileRows)) {
    key_t_ = workspace.take<float>(kKeyBlock * head_dim_).data();
    value_t_ = workspace.take<float>(kKeyBlock * head_dim_).data();
    key_ = workspace.take<float>(kKeyBlock * width_).data();
    d_key_t_ = workspace.take<float>(kKeyBlock * rows_).data();
    d_value_t_ = workspace.take<float>(kKeyBlock * rows_).data();
    p_ = workspace.take<float>(kQueryTile * kKeyBlock).data();
    d_s_ = workspace.take<float>(kQueryTile * kKeyBlock).data();
    query_space_ = workspace.take<float>(kQueryTile * rows_).data();
    d_out_space_ = workspace.take<float>(kQueryTile * rows_).data();
  }

  static Index scratch(Index head_dim) {
    const Index width = round_up(head_dim, simd::kWidth), rows = round_up(head_dim, kTileRows);
    return 2 * stored_bytes<float>(kKeyBlock * head_dim) + stored_bytes<float>(kKeyBlock * width) +
           2 * stored_bytes<float>(kKeyBlock * rows) +
           2 * stored_bytes<float>(kQueryTile * kKeyBlock) +
           2 * stored_bytes<float>(kQueryTile * rows);
  }

  void run(Range keys, const QueryPart& d_query) {
    start(keys);
    const Range hull = problem_.mask.queries_of(keys);
    for (Index i = hull.begin; i < hull.end; i += kQueryTile) {
      const Range queries{i, std::min(i + kQueryTile, hull.end)};
      const Cover cover = problem_.mask.cover(queries, keys);
      if (cover != Cover::kNone) visit(queries, cover, d_query);
    }
    finish();
  }

 private:
  void start(Range keys) {
    keys_ = keys;
    const auto& in = problem_.in;
    for (Index panel = 0; panel < kPanels; ++panel) {
      const Index first = keys.begin + panel * kTileLanes;
      const Index count = std::clamp(keys.end - first, Index{0}, kTileLanes);
      const Index place = panel * kTileLanes * head_dim_;
      pack_transposed(in.key, first, count, problem_.scale * std::numbers::log2e_v<float>,
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

  void visit(Range queries, Cover cover, const QueryPart& d_query) {
    const Rows query =
        contiguous_rows(problem_.in.query, queries.begin, queries.size(), query_space_);
    const Rows d_out =
        contiguous_rows(problem_.d_outputs.out, queries.begin, queries.size(), d_out_space_);
    score(query, queries.size());
    if (cover == Cover::kSome) problem_.mask.hide(queries, keys_, {p_, kKeyBlock, 1});
    differentiate(d_out, queries);
    add_transposed(d_out, p_, queries.size(), d_value_t_);
    add_transposed(query, d_s_, queries.size(), d_key_t_);
    for (Index i = 0; i < queries.size(); i += kTileRows) {
      const Index count = queries.size() - i;
      add_product(RowOperand(d_s_ + i * kKeyBlock, kKeyBlock, count), key_, width_, keys_.size(),
                  width_ / simd::kWidth,
                  d_query.data + (queries.begin + i - d_query.queries.begin) * width_, width_,
                  count);
    }
  }

  /// p_[i][:] = scores in units of log2.
  void score(const Rows& query, Index count) {
    for (Index panel = 0; panel < kPanels; ++panel) {
      for (Index i = 0; i < count; i += kTileRows) {
        Accumulators<> tile;
        tile.clear();
        tile.multiply_add(RowOperand(query.data + i * query.stride, query.stride, count - i),
                          key_t_ + panel * kTileLanes * head_dim_, kTileLanes, head_dim_);
        tile.store(p_ + i * kKeyBlock + panel * kTileLanes, kKeyBlock);
      }
    }
  }

  /// p_ from scores to probabilities; d_s_[i][:] = p * (<d_out_i, value> - shift_i).
  void differentiate(const Rows& d_out, Range queries) {
    const float* const row_max = problem_.statistics.data() + queries.begin;
    const float* const log2_sum = row_max + problem_.statistics.outerStride();
    const float* const shift = problem_.shift + queries.begin;
    const Index count = queries.size();
    for (Index panel = 0; panel < kPanels; ++panel) {
      for (Index i = 0; i < count; i += kTileRows) {
        Accumulators<> tile;
        tile.clear();
        tile.multiply_add(RowOperand(d_out.data + i * d_out.stride, d_out.stride, count - i),
                          value_t_ + panel * kTileLanes * head_dim_, kTileLanes, head_dim_);
        for (int r = 0; r < kTileRows; ++r) {
          const Index row = std::min(i + r, count - 1);
          const Vec maximum(row_max[row]), sum(log2_sum[row]), row_shift(shift[row]);
          for (int c = 0; c < kTileVectors; ++c) {
            const Index place = (i + r) * kKeyBlock + panel * kTileLanes + c * simd::kWidth;
            const Vec p = simd::exp2(simd::load(p_ + place) - maximum - sum);
            simd::store(p_ + place, p);
            simd::store(d_s_ + place, p * (tile.at[r][c] - row_shift));
          }
        }
      }
    }
  }

  /// to^T[d][:] += sum over i of rows[i][d] tile[i][:].
  void add_transposed(const Rows& rows, const float* tile, Index count, float* to) const {
    for (Index panel = 0; panel < kPanels; ++panel) {
      for (Index d = 0; d < head_dim_; d += kTileRows) {
        float* const place = to + (panel * rows_ + d) * kTileLanes;
        Accumulators<> sum;
        sum.load(place, kTileLanes);
        sum.multiply_add(ColumnOperand{rows.data + d, rows.stride}, tile + panel * kTileLanes,
                         kKeyBlock, count);
        sum.store(place, kTileLanes);
      }
    }
  }

  void finish() {
    for (Index j = 0; j < keys_.size(); ++j) {
      const Index lane = j / kTileLanes * rows_ * kTileLanes + j % kTileLanes;
      for (Index d = 0; d < head_dim_; ++d) {
        problem_.d_in.key(keys_.begin + j, d) = problem_.scale * d_key_t_[lane + d * kTileLanes];
        problem_.d_in.value(keys_.begin + j, d) = d_value_t_[lane + d * kTileLanes];
      }
    }
  }

  BackwardProblem problem_;
  Index head_dim_;
  Index width_;  // head_dim in whole vectors
  Index rows_;   // head_dim in whole register tiles
  Range keys_{};
  float *key_t_, *value_t_;      // [kPanels][head_dim][kTileLanes]
  float* key_;                   // [kKeyBlock][width]
  float *d_key_t_, *d_value_t_;  // [kPanels][rows][kTileLanes]
  float *p_, *d_s_;              // [kQueryTile][kKeyBlock]
  float *query_space_, *d_out_space_;
};

Index chunk_count(Index key_len) {
  const Index chunk = softmax_chunk_len(key_len);
  return (key_len + chunk - 1) / chunk;
}

Range chunk_keys(Index chunk, Index key_len) {
  const Index length = softmax_chunk_len(key_len);
  return {chunk * length, std::min((chunk + 1) * length, key_len)};
}

void run_chunk(const BackwardProblem& problem, Range keys, const QueryPart& part,
               Workspace& workspace) {
  const WorkspaceScope scope(workspace);
  if (!part.queries.empty()) std::fill_n(part.data, part.queries.size() * part.width, 0.0F);
  KeyBlock block(workspace, problem);
  for (Index j = keys.begin; j < keys.end; j += kKeyBlock) {
    block.run({j, std::min(j + kKeyBlock, keys.end)}, part);
  }
}

void add_part(const QueryPart& part, float scale, View d_query) {
  for (Index i = part.queries.begin; i < part.queries.end; ++i) {
    const float* const row = part.data + (i - part.queries.begin) * part.width;
    for (Index d = 0; d < d_query.cols(); ++d) d_query(i, d) += scale * row[d];
  }
}

}  // namespace

Index softmax_chunk_len(Index key_len) {
  return std::max(kChunkMin, round_up((key_len + kChunks - 1) / kChunks, kKeyBlock));
}

Index softmax_chunk_reach(const TileMask& mask, const Extents& extents) {
  Index reach = 0;
  for (Index c = 0; c < chunk_count(extents.key_len); ++c) {
    reach = std::max(reach, mask.queries_of(chunk_keys(c, extents.key_len)).size());
  }
  return reach;
}

void softmax_backward(const Team& team, const HeadInputs& in, float scale, const TileMask& mask,
                      const HeadOutputGrads& d_outputs, const ConstView& statistics,
                      HeadGrads d_in) {
  const Extents extents{in.query.rows(), in.key.rows()};
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  const std::span<float> shift = workspace.take<float>(extents.query_len);
  for (Index i = 0; i < extents.query_len; ++i) {
    float& row_shift = shift[static_cast<std::size_t>(i)];
    row_shift = d_outputs.out.row(i).dot(d_outputs.forward_out.row(i));
    if (!d_outputs.log_sum_exp.empty()) row_shift -= d_outputs.log_sum_exp(i, 0);
  }
  const BackwardProblem problem{in, d_outputs, mask, statistics, shift.data(), scale, d_in};
  const Index chunks = chunk_count(extents.key_len);
  const Index at_once = std::min(team.size(), chunks);
  const Index width = round_up(in.query.cols(), simd::kWidth);
  const Index part_size = softmax_chunk_reach(mask, extents) * width;
  float* const parts = workspace.take<float>(at_once * part_size).data();
  d_in.query.setZero();
  for (Index first = 0; first < chunks; first += at_once) {
    const Index count = std::min(at_once, chunks - first);
    const auto part = [&](Index slot) {
      const Range keys = chunk_keys(first + slot, extents.key_len);
      return QueryPart{mask.queries_of(keys), parts + slot * part_size, width};
    };
    team.for_each(count, [&](Index slot, const Team& worker) {
      const Range keys = chunk_keys(first + slot, extents.key_len);
      run_chunk(problem, keys, part(slot), worker.workspace());
    });
    for (Index slot = 0; slot < count; ++slot) add_part(part(slot), scale, d_in.query);
  }
}

SoftmaxScratch softmax_backward_scratch(const Extents& extents, Index head_dim, Index chunk_reach,
                                        Index workers) {
  const Index chunks = chunk_count(extents.key_len), at_once = std::min(workers, chunks);
  const Index block = KeyBlock::scratch(head_dim);
  const Index part = chunk_reach * round_up(head_dim, simd::kWidth);
  const Index caller =
      stored_bytes<float>(extents.query_len) + stored_bytes<float>(at_once * part) + block;
  return {caller, caller + (chunks < workers ? 0 : (workers - 1) * block)};
}

double softmax_scratch_bytes(const Problem& problem, const Extents& extents, Index chunk_reach) {
  const Index head_dim = problem.setup.head_dim, heads = problem.setup.num_heads;
  const bool one_worker_each = heads >= problem.workers;
  const Index inner = one_worker_each ? 1 : problem.workers;
  const Index forward = softmax_forward_scratch(extents, head_dim, inner).total;
  const Index backward = softmax_backward_scratch(extents, head_dim, chunk_reach, inner).total;
  const Index each = problem.pass == Pass::kForward ? forward : std::max(forward, backward);
  return static_cast<double>(one_worker_each ? problem.workers * each : each);
}

}  // namespace arena
