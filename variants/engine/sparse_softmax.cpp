#include "variants/engine/sparse_softmax.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "harness/layers/rows.hpp"
#include "variants/engine/gathered_rows.hpp"

namespace arena {
namespace {

using simd::kWidth;
using simd::Vec;

constexpr float kLn2 = 0.6931471805599453F;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Edges and rows of a piece: enough to be worth sharing out, few enough to balance.
constexpr Index kPieceWork = 4096;

/// The rows of one orientation of the edges, and the numbers at the other end of each edge.
struct Rows {
  const std::vector<Index>& begin;
  const std::vector<std::int32_t>& numbers;

  Index count() const { return std::ssize(begin) - 1; }
  Index first(Index row) const { return begin[static_cast<std::size_t>(row)]; }
  bool empty(Index row) const { return first(row) == first(row + 1); }

  /// The first row that begins at or behind so many edges and rows.
  Index row_at(Index work) const {
    Index low = 0, high = count();
    while (low < high) {
      const Index middle = (low + high) / 2;
      if (first(middle) + middle < work) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /// Calls body(row) for all, in pieces of about as many edges and rows.
  template <class Body>
  void for_each(const Team& team, const Body& body) const {
    const Index work = first(count()) + count();
    const Index pieces = (work + kPieceWork - 1) / kPieceWork;
    team.for_each(pieces, [&](Index piece, const Team&) {
      const Index end = piece + 1 == pieces ? count() : row_at(work * (piece + 1) / pieces);
      for (Index row = row_at(work * piece / pieces); row < end; ++row) body(row);
    });
  }

  /// Calls body(first edge, numbers) for a row's edges, at most kEdgeChunk at a time.
  template <class Body>
  void for_chunks(Index row, const Body& body) const {
    for (Index e = first(row); e < first(row + 1); e += kEdgeChunk) {
      const Index size = std::min(kEdgeChunk, first(row + 1) - e);
      body(e, Numbers(numbers.data() + e, static_cast<std::size_t>(size)));
    }
  }
};

Rows rows_of(const Edges& edges) {
  return {edges.row_begin, edges.key};
}
Rows columns_of(const Edges& edges) {
  return {edges.column_begin, edges.query};
}

/// One number for each edge of a chunk.
struct alignas(kAlignment) ChunkValues {
  std::array<float, kEdgeChunk> values;

  float* data() { return values.data(); }
  float& operator[](Index e) { return values[static_cast<std::size_t>(e)]; }
};

/// Of the edges of a chunk. What is behind the last one in its vector becomes minus infinity.
void evaluate(const EdgeScores& scores, Index query, Numbers keys, ChunkValues& to) {
  scores.evaluate(query, keys, to.data());
  for (Index e = std::ssize(keys); e % kWidth != 0; ++e) to[e] = -kInfinity;
}

float largest(ChunkValues& scores, Index count) {
  Vec vector(-kInfinity);
  for (Index e = 0; e < count; e += kWidth) {
    vector = simd::maximum(vector, simd::load(scores.data() + e));
  }
  alignas(kAlignment) float lanes[kWidth];
  simd::store(lanes, vector);
  return *std::max_element(lanes, lanes + kWidth);
}

/// scores[e] = 2^(scores[e] - reference - log2_sum); gives their sum.
float exponentiate(ChunkValues& scores, Index count, float reference, float log2_sum) {
  Vec sum(0.0F);
  for (Index e = 0; e < count; e += kWidth) {
    const Vec p = simd::exp2(simd::load(scores.data() + e) - Vec(reference) - Vec(log2_sum));
    sum = sum + p;
    simd::store(scores.data() + e, p);
  }
  return simd::sum(sum);
}

void scale_row(float factor, float* to, Index width) {
  simd::for_vectors(width, [&](Index c, Index lanes) {
    simd::store_part(to + c, Vec(factor) * simd::load_part(to + c, lanes), lanes);
  });
}

/// Of one row's scores in units of log2: the largest, and log2 of the sum over it.
struct RowStatistics {
  float reference = -kInfinity;
  float log2_sum = 0;
};

/// Online softmax over the chunks of a row; writes its out. Without edges: zeros.
RowStatistics forward_row(const Rows& rows, const EdgeScores& scores, const ConstView& value,
                          const float* factors, Index i, float* out) {
  if (rows.empty(i)) {
    std::fill_n(out, value.cols(), 0.0F);
    return {};
  }
  float reference = -kInfinity, sum = 0;
  rows.for_chunks(i, [&](Index e, Numbers keys) {
    const Index count = std::ssize(keys);
    ChunkValues p;
    evaluate(scores, i, keys, p);
    const float before = reference;
    reference = std::max(reference, largest(p, count));
    const bool first = before == -kInfinity;
    if (!first && reference > before) {
      const float factor = std::exp2(before - reference);
      sum *= factor;
      scale_row(factor, out, value.cols());
    }
    sum += exponentiate(p, count, reference, 0);
    for (Index c = 0; factors && c < count; ++c) p[c] *= factors[e + c];
    sum_rows(p.data(), GatheredRows(value, keys.data()), count, out, adding_unless(first));
  });
  scale_row(1 / sum, out, value.cols());
  return {reference, std::log2(sum)};
}

/// What the pass over rows leaves for the pass over columns, which reads both at once.
struct EdgeGradient {
  float probability, d_score;
};

class Backward {
 public:
  Backward(const Edges& edges, const EdgeScores& scores, const ConstView& value,
           const HeadOutputGrads& d_outputs, const ConstView& statistics, const float* factors,
           Workspace& workspace)
      : edges_(edges),
        scores_(scores),
        value_(value),
        d_outputs_(d_outputs),
        statistics_(statistics),
        factors_(factors),
        gradients_(workspace.take<EdgeGradient>(edges.count()).data()) {}

  void row(Index i) const {
    const Rows rows = rows_of(edges_);
    if (rows.empty(i)) return scores_.add_to_query(i, {}, true, nullptr);
    const float* const d_out = row_of(d_outputs_.out, i);
    const float shift = shift_of(i);
    rows.for_chunks(i, [&](Index e, Numbers keys) {
      const Index count = std::ssize(keys);
      ChunkValues p, d_scores;
      evaluate(scores_, i, keys, p);
      exponentiate(p, count, statistics_(0, i), statistics_(1, i));
      dot_rows(d_out, GatheredRows(value_, keys.data()), count, d_scores.data());
      for (Index c = 0; c < count; ++c) {
        const float factor = factors_ ? factors_[e + c] : 1.0F;
        d_scores[c] = p[c] * (factor * d_scores[c] + shift);
        p[c] *= factor;
      }
      scores_.add_to_query(i, keys, e == rows.first(i), d_scores.data());
      for (Index c = 0; c < count; ++c) gradients_[e + c] = {p[c], d_scores[c]};
    });
  }

  void column(Index j, float* d_value) const {
    const Rows columns = columns_of(edges_);
    if (columns.empty(j)) {
      std::fill_n(d_value, value_.cols(), 0.0F);
      return scores_.add_to_key(j, {}, true, nullptr);
    }
    columns.for_chunks(j, [&](Index e, Numbers queries) {
      const Index count = std::ssize(queries);
      const bool first = e == columns.first(j);
      const Index* const at = edges_.edge.data() + e;
      ChunkValues p, d_scores;
      for (Index c = 0; c < count; ++c) {
        p[c] = gradients_[at[c]].probability;
        d_scores[c] = gradients_[at[c]].d_score;
      }
      sum_rows(p.data(), GatheredRows(d_outputs_.out, queries.data()), count, d_value,
               adding_unless(first));
      scores_.add_to_key(j, queries, first, d_scores.data());
    });
  }

 private:
  /// d_log_sum_exp_i - <d_out_i, out_i>
  float shift_of(Index i) const {
    float delta = 0;
    dot_rows(row_of(d_outputs_.out, i), ConsecutiveRows(d_outputs_.forward_out.row_slice(i, 1)), 1,
             &delta);
    return (d_outputs_.log_sum_exp.empty() ? 0.0F : d_outputs_.log_sum_exp(i, 0)) - delta;
  }

  const Edges& edges_;
  const EdgeScores& scores_;
  const ConstView& value_;
  const HeadOutputGrads& d_outputs_;
  const ConstView& statistics_;
  const float* factors_;
  EdgeGradient* gradients_;
};

}  // namespace

const Edges& edges_of(const Call& call, const Extents& extents, const char* variant) {
  if (!call.edges) {
    throw Error(fmt::format("{} attends along the edges of a graph, and there are none", variant),
                Failure::kUnsupported);
  }
  const Edges& edges = *call.edges;
  check(edges.query_len == extents.query_len && edges.key_len == extents.key_len,
        "{}: edges of {} queries x {} keys, but there are {} x {}", variant, edges.query_len,
        edges.key_len, extents.query_len, extents.key_len);
  return edges;
}

void sparse_forward(const Team& team, const Edges& edges, const EdgeScores& scores,
                    const ConstView& value, HeadOutputs outputs, View statistics,
                    const float* factors) {
  const Rows rows = rows_of(edges);
  rows.for_each(team, [&](Index i) {
    const RowStatistics row = forward_row(rows, scores, value, factors, i, row_of(outputs.out, i));
    if (!outputs.log_sum_exp.empty()) {
      outputs.log_sum_exp(i, 0) = kLn2 * (row.reference + row.log2_sum);
    }
    if (statistics.empty()) return;
    statistics(0, i) = row.reference;
    statistics(1, i) = row.log2_sum;
  });
}

void sparse_backward(const Team& team, const Edges& edges, const EdgeScores& scores,
                     const ConstView& value, const HeadOutputGrads& d_outputs,
                     const ConstView& statistics, View d_value, const float* factors) {
  const WorkspaceScope scope(team.workspace());
  const Backward backward(edges, scores, value, d_outputs, statistics, factors, team.workspace());
  rows_of(edges).for_each(team, [&](Index i) { backward.row(i); });
  columns_of(edges).for_each(team, [&](Index j) { backward.column(j, row_of(d_value, j)); });
}

}  // namespace arena
