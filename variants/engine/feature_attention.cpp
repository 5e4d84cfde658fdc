#include "variants/engine/feature_attention.hpp"

#include "variants/engine/feature_pieces.hpp"

namespace arena {
namespace {

using feature_detail::Chunk;
using feature_detail::Context;
using feature_detail::for_chunks;
using feature_detail::kChunk;
using feature_detail::Pieces;
using feature_detail::Sums;
using feature_detail::Sweep;
using feature_detail::SweepRun;
using feature_detail::Widths;

void no_start(const Chunk&) {}

/// Rows of a matrix. Where rows stand apart, as many after them, which are wanted next, are fetched
/// into the second-level cache.
template <class MatrixView>
MatrixView rows_of(const MatrixView& matrix, Range range) {
  if (matrix.outerStride() != matrix.cols()) {
    for (Index i = range.end; i < std::min(range.end + range.size(), matrix.rows()); ++i) {
      const float* const row = matrix.data() + i * matrix.outerStride();
      for (Index d = 0; d < matrix.cols(); d += kCacheLine) __builtin_prefetch(row + d, 0, 2);
    }
  }
  return matrix.row_slice(range.begin, range.size());
}

/// Causal attention in three parts: queries that see no key, keys that every query sees, and as
/// many queries as keys, each of which sees one key more than the query before.
struct Alignment {
  Index blind, shared, steps;

  explicit Alignment(const Extents& extents)
      : blind(std::max(Index{0}, extents.query_len - extents.key_len)),
        shared(std::max(Index{0}, extents.key_len - extents.query_len)),
        steps(std::min(extents.query_len, extents.key_len)) {}

  HeadInputs of(const HeadInputs& in) const {
    return {in.query.row_slice(blind, steps), in.key.row_slice(shared, steps),
            in.value.row_slice(shared, steps)};
  }
  HeadGrads of(const HeadGrads& d_in) const {
    return {d_in.query.row_slice(blind, steps), d_in.key.row_slice(shared, steps),
            d_in.value.row_slice(shared, steps)};
  }
};

Context context_of(const Team& team, const FeatureAttention& attention, const HeadInputs& in) {
  assert(attention.query_map.num_features() == attention.key_map.num_features());
  return {team, attention, {attention.key_map.num_features(), in.value.cols()}};
}

/// Number of sums that forward leaves for backward: of all keys, or (causal) before each piece.
Index saved_sums(const FeatureShape& shape) {
  return shape.causal ? Pieces(Alignment(shape.extents).steps).count() : 1;
}

void sum_keys(const Context& context, const ConstView& key, const ConstView& value, float* to) {
  sum_chunks(context, key.rows(), to, no_start, [&](Chunk& chunk, Range rows, const Sums& sums) {
    chunk.load_keys(context.attention.key_map, rows_of(key, rows), rows_of(value, rows));
    chunk.add_keys(sums);
  });
}

/// One chunk of queries, given the sums of the keys before it; inverse may be null.
void write_out(const Context& context, Chunk& chunk, const ConstView& query, const Sums& sums,
               View out, float* inverse) {
  chunk.load_queries(context.attention.query_map, query);
  const float* const of_chunk =
      chunk.invert_denominators(sums.vector, context.attention.epsilon, context.attention.causal);
  if (inverse) std::copy_n(of_chunk, query.rows(), inverse);
  chunk.write_out(sums, context.attention.causal, out);
}

class ForwardSweep final : public Sweep {
 public:
  ForwardSweep(const Context& context, const HeadInputs& in, View out, float* inverse)
      : context_(context), in_(in), out_(out), inverse_(inverse) {}

  void load(Chunk& chunk, Range rows) const override {
    chunk.load_keys(context_.attention.key_map, rows_of(in_.key, rows), rows_of(in_.value, rows));
  }
  void visit(Chunk& chunk, Range rows, const Sums& before) const override {
    load(chunk, rows);
    write_out(context_, chunk, rows_of(in_.query, rows), before, rows_of(out_, rows),
              inverse_ ? inverse_ + rows.begin : nullptr);
  }
  void add(const Chunk& chunk, const Sums& to) const override { chunk.add_keys(to); }

 private:
  const Context& context_;
  const HeadInputs& in_;
  View out_;
  float* inverse_;
};

/// What both sweeps of backward read.
struct BackwardInputs {
  const Context& context;
  HeadInputs in;
  ConstView d_out, out;
  const float* inverse;
  HeadGrads d_in;

  void load_queries(Chunk& chunk, Range rows) const {
    chunk.load_queries(context.attention.query_map, rows_of(in.query, rows));
    chunk.load_d_out(rows_of(d_out, rows), rows_of(out, rows), inverse + rows.begin);
  }
  void load_keys(Chunk& chunk, Range rows) const {
    chunk.load_keys(context.attention.key_map, rows_of(in.key, rows), rows_of(in.value, rows));
  }
  void write_d_query(Chunk& chunk, Range rows, const float* z) const {
    chunk.write_d_query(context.attention.query_map, rows_of(in.query, rows), z,
                        context.attention.causal, rows_of(d_in.query, rows));
  }
  void write_d_keys(Chunk& chunk, Range rows, const Sums& d_sums, bool causal) const {
    chunk.write_d_keys(context.attention.key_map, rows_of(in.key, rows), d_sums, causal,
                       rows_of(d_in.key, rows), rows_of(d_in.value, rows));
  }
};

/// d_query, from the sums over keys again.
class QuerySweep final : public Sweep {
 public:
  explicit QuerySweep(const BackwardInputs& inputs) : inputs_(inputs) {}
  void load(Chunk& chunk, Range rows) const override { inputs_.load_keys(chunk, rows); }
  void visit(Chunk& chunk, Range rows, const Sums& before) const override {
    load(chunk, rows);
    inputs_.load_queries(chunk, rows);
    chunk.transpose(before);
    inputs_.write_d_query(chunk, rows, before.vector);
  }
  void add(const Chunk& chunk, const Sums& to) const override { chunk.add_keys(to); }

 private:
  const BackwardInputs& inputs_;
};

/// d_key and d_value, from sums over the queries after them.
class KeySweep final : public Sweep {
 public:
  explicit KeySweep(const BackwardInputs& inputs) : inputs_(inputs) {}
  bool backwards() const override { return true; }
  void load(Chunk& chunk, Range rows) const override { inputs_.load_queries(chunk, rows); }
  void visit(Chunk& chunk, Range rows, const Sums& after) const override {
    load(chunk, rows);
    inputs_.load_keys(chunk, rows);
    chunk.transpose(after);
    inputs_.write_d_keys(chunk, rows, after, true);
  }
  void add(const Chunk& chunk, const Sums& to) const override { chunk.add_queries(to); }

 private:
  const BackwardInputs& inputs_;
};

/// d_key and d_value of keys that all queries see.
void write_d_keys_of_all(const BackwardInputs& inputs, float* d_sums) {
  const Sums sums = inputs.context.sums(d_sums);
  const auto start = [&](Chunk& chunk) { chunk.transpose(sums); };
  for_chunks(inputs.context, inputs.in.key.rows(), start, [&](Chunk& chunk, Range rows, Index) {
    inputs.load_keys(chunk, rows);
    inputs.write_d_keys(chunk, rows, sums, false);
  });
}

void backward_full(const BackwardInputs& inputs, const Sums& sums) {
  float* const d_sums = inputs.context.take_sums(1);
  const auto start = [&](Chunk& chunk) { chunk.transpose(sums); };
  sum_chunks(inputs.context, inputs.in.query.rows(), d_sums, start,
             [&](Chunk& chunk, Range rows, const Sums& to) {
               inputs.load_queries(chunk, rows);
               inputs.write_d_query(chunk, rows, sums.vector);
               chunk.add_queries(to);
             });
  write_d_keys_of_all(inputs, d_sums);
}

void backward_causal(const BackwardInputs& all, const Alignment& alignment, float* sums) {
  const BackwardInputs inputs{all.context,
                              alignment.of(all.in),
                              all.d_out.row_slice(alignment.blind, alignment.steps),
                              all.out.row_slice(alignment.blind, alignment.steps),
                              all.inverse,
                              alignment.of(all.d_in)};
  View d_query = all.d_in.query;
  d_query.topRows(alignment.blind).setZero();
  const Index pieces = Pieces(alignment.steps).count(), size = all.context.widths.sum_floats();
  SweepRun(all.context, QuerySweep(inputs), alignment.steps, {sums, pieces, true}).run();
  const Index bases = alignment.shared > 0 ? pieces + 1 : pieces;
  float* const d_sums = all.context.take_sums(bases);
  std::fill_n(d_sums, size, 0.0F);
  SweepRun(all.context, KeySweep(inputs), alignment.steps, {d_sums, bases, false}).run();
  if (alignment.shared == 0) return;
  const BackwardInputs shared{all.context,
                              {all.in.query, all.in.key.row_slice(0, alignment.shared),
                               all.in.value.row_slice(0, alignment.shared)},
                              all.d_out,
                              all.out,
                              all.inverse,
                              {all.d_in.query, all.d_in.key.row_slice(0, alignment.shared),
                               all.d_in.value.row_slice(0, alignment.shared)}};
  write_d_keys_of_all(shared, d_sums + pieces * size);
}

}  // namespace

void feature_forward(const Team& team, const FeatureAttention& attention, const HeadInputs& in,
                     View out, Frame* frame) {
  const Context context = context_of(team, attention, in);
  const FeatureShape shape{extents_of(in), in.value.cols(), context.widths.features,
                           attention.causal};
  const WorkspaceScope scope(team.workspace());
  float* const inverse = frame ? frame->take<float>(shape.extents.query_len).data() : nullptr;
  const Index count = saved_sums(shape), size = context.widths.sum_floats();
  float* const sums = frame ? frame->take<float>(count * size).data() : context.take_sums(count);
  if (!attention.causal) {
    sum_keys(context, in.key, in.value, sums);
    for_chunks(context, in.query.rows(), no_start, [&](Chunk& chunk, Range rows, Index) {
      write_out(context, chunk, rows_of(in.query, rows), context.sums(sums), rows_of(out, rows),
                inverse ? inverse + rows.begin : nullptr);
    });
    return;
  }
  const Alignment alignment(shape.extents);
  out.topRows(alignment.blind).setZero();
  std::fill_n(sums, size, 0.0F);
  if (alignment.shared > 0) {
    sum_keys(context, in.key.row_slice(0, alignment.shared),
             in.value.row_slice(0, alignment.shared), sums);
  }
  const HeadInputs seen = alignment.of(in);
  const ForwardSweep sweep(context, seen, out.row_slice(alignment.blind, alignment.steps), inverse);
  SweepRun(context, sweep, alignment.steps, {sums, count, false}).run();
}

void feature_backward(const Team& team, const FeatureAttention& attention, const HeadInputs& in,
                      const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in) {
  const Context context = context_of(team, attention, in);
  const Extents extents = extents_of(in);
  const FeatureShape shape{extents, in.value.cols(), context.widths.features, attention.causal};
  const WorkspaceScope scope(team.workspace());
  FrameReader saved(frame);
  const float* const inverse = saved.take<float>(extents.query_len).data();
  const Index count = saved_sums(shape) * context.widths.sum_floats();
  float* const sums = const_cast<float*>(saved.take<float>(count).data());  // read only
  const BackwardInputs inputs{context, in, d_outputs.out, d_outputs.forward_out, inverse, d_in};
  if (attention.causal) {
    backward_causal(inputs, Alignment(extents), sums);
  } else {
    backward_full(inputs, context.sums(sums));
  }
}

}  // namespace arena
