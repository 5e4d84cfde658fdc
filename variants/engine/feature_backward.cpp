#include "variants/engine/feature_pieces.hpp"

namespace arena {
namespace {

using namespace feature_detail;

/// What both sweeps of backward read.
struct BackwardInputs {
  const Context& context;
  HeadInputs in;
  ConstView d_out, out;
  Denominators saved;
  HeadGrads d_in;

  void load_queries(Chunk& chunk, Range rows) const {
    chunk.load_queries(context.attention.query_map, rows_of(in.query, rows));
    chunk.load_d_out(rows_of(d_out, rows), rows_of(out, rows), saved.from(rows.begin));
  }
  void load_keys(Chunk& chunk, Range rows) const {
    chunk.load_keys(context.attention.key_map, rows_of(in.key, rows), rows_of(in.value, rows));
  }
  void write_d_query(Chunk& chunk, Range rows, const Sums& sums) const {
    chunk.write_d_query(context.attention.query_map, rows_of(in.query, rows), sums,
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
    inputs_.write_d_query(chunk, rows, before);
  }
  void add(Chunk& chunk, const Sums& to) const override { chunk.add_keys(to); }

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
  void add(Chunk& chunk, const Sums& to) const override { chunk.add_queries(to); }

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
               inputs.write_d_query(chunk, rows, sums);
               chunk.add_queries(to);
             });
  write_d_keys_of_all(inputs, d_sums);
}

void backward_causal(const BackwardInputs& all, const Alignment& alignment, float* sums) {
  const BackwardInputs inputs{all.context,
                              alignment.of(all.in),
                              all.d_out.row_slice(alignment.blind, alignment.steps),
                              all.out.row_slice(alignment.blind, alignment.steps),
                              all.saved,
                              alignment.of(all.d_in)};
  View d_query = all.d_in.query;
  d_query.topRows(alignment.blind).setZero();
  SweepRun(all.context, QuerySweep(inputs), alignment.steps, {sums, nullptr, true}).run();
  float* const d_sums = all.context.take_sums(Pieces(alignment.steps).count());
  float* const d_total = alignment.shared > 0 ? all.context.take_sums(1) : nullptr;
  all.context.clear(d_sums);
  SweepRun(all.context, KeySweep(inputs), alignment.steps, {d_sums, d_total, false}).run();
  if (!d_total) return;
  const BackwardInputs shared{all.context,
                              {all.in.query, all.in.key.row_slice(0, alignment.shared),
                               all.in.value.row_slice(0, alignment.shared)},
                              all.d_out,
                              all.out,
                              all.saved,
                              {all.d_in.query, all.d_in.key.row_slice(0, alignment.shared),
                               all.d_in.value.row_slice(0, alignment.shared)}};
  write_d_keys_of_all(shared, d_total);
}

}  // namespace

void feature_backward(const Team& team, const FeatureAttention& attention, const HeadInputs& in,
                      const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in) {
  const Context context = context_of(team, attention, in);
  const FeatureShape shape = shape_of(context, in);
  const WorkspaceScope scope(team.workspace());
  Frame saved(frame.data(), frame.capacity());  // only read
  const Kept kept = take_kept(context, shape, &saved);
  const BackwardInputs inputs{context,           in,  d_outputs.out, d_outputs.forward_out,
                              kept.denominators, d_in};
  if (attention.causal) {
    backward_causal(inputs, Alignment(shape.extents), kept.sums);
  } else {
    backward_full(inputs, context.sums(kept.sums));
  }
}

}  // namespace arena
