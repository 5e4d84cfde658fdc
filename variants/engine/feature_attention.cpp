#include "variants/engine/feature_attention.hpp"

#include "variants/engine/feature_pieces.hpp"

namespace arena {
namespace {

using namespace feature_detail;

void no_start(const Chunk&) {}

void sum_keys(const Context& context, const ConstView& key, const ConstView& value, float* to) {
  sum_chunks(context, key.rows(), to, no_start, [&](Chunk& chunk, Range rows, const Sums& sums) {
    chunk.load_keys(context.attention.key_map, rows_of(key, rows), rows_of(value, rows));
    chunk.add_keys(sums);
  });
}

/// One chunk of queries, given the sums of the keys before it.
void write_out(const Context& context, Chunk& chunk, const ConstView& query, const Sums& sums,
               View out, const Denominators& saved) {
  const bool causal = context.attention.causal;
  chunk.load_queries(context.attention.query_map, query);
  chunk.find_denominators(sums, context.attention.epsilon, causal, saved);
  chunk.write_out(sums, causal, out);
}

class ForwardSweep final : public Sweep {
 public:
  ForwardSweep(const Context& context, const HeadInputs& in, View out, const Denominators& saved)
      : context_(context), in_(in), out_(out), saved_(saved) {}

  void load(Chunk& chunk, Range rows) const override {
    chunk.load_keys(context_.attention.key_map, rows_of(in_.key, rows), rows_of(in_.value, rows));
  }
  void visit(Chunk& chunk, Range rows, const Sums& before) const override {
    load(chunk, rows);
    write_out(context_, chunk, rows_of(in_.query, rows), before, rows_of(out_, rows),
              saved_.from(rows.begin));
  }
  void add(Chunk& chunk, const Sums& to) const override { chunk.add_keys(to); }

 private:
  const Context& context_;
  const HeadInputs& in_;
  View out_;
  Denominators saved_;
};

void check_state(const State& state, const Context& context, const FeatureShape& shape) {
  const auto floats = static_cast<Index>(state.values.size());
  check(floats == context.widths.sum_floats(), "a state of {} floats where {} are expected", floats,
        context.widths.sum_floats());
  check(!shape.causal || shape.extents.query_len <= shape.extents.key_len,
        "{} causal queries go with {} keys after a state; expected at least as many keys",
        shape.extents.query_len, shape.extents.key_len);
}

/// Sums of the keys that every query sees: those of the state and the first `shared`.
void sum_shared(const Call& call, const Context& context, const HeadInputs& in, Index shared,
                float* to) {
  context.clear(to);
  if (shared > 0) {
    sum_keys(context, in.key.row_slice(0, shared), in.value.row_slice(0, shared), to);
  }
  if (call.state) context.add(call.state->values.data(), to, to);
}

/// Where the sums after all keys go.
float* begin_state(const Call& call, const Context& context, Index key_len, State& after) {
  after.values.resize(static_cast<std::size_t>(context.widths.sum_floats()));
  after.position = (call.state ? call.state->position : 0) + key_len;
  return after.values.data();
}

}  // namespace

void feature_forward(const Call& call, const FeatureAttention& attention, const HeadInputs& in,
                     View out, Frame* frame, State* after) {
  const Context context = context_of(call.team, attention, in);
  const FeatureShape shape = shape_of(context, in);
  if (call.state) check_state(*call.state, context, shape);
  const WorkspaceScope scope(call.team.workspace());
  const Kept kept = take_kept(context, shape, frame);
  const Index key_len = shape.extents.key_len;
  float* const total = after ? begin_state(call, context, key_len, *after) : nullptr;
  if (!attention.causal) {
    sum_shared(call, context, in, key_len, kept.sums);
    if (total) std::copy_n(kept.sums, context.widths.sum_floats(), total);
    for_chunks(context, in.query.rows(), no_start, [&](Chunk& chunk, Range rows, Index) {
      write_out(context, chunk, rows_of(in.query, rows), context.sums(kept.sums),
                rows_of(out, rows), kept.denominators.from(rows.begin));
    });
    return;
  }
  const Alignment alignment(shape.extents);
  out.topRows(alignment.blind).setZero();
  sum_shared(call, context, in, alignment.shared, kept.sums);
  const HeadInputs seen = alignment.of(in);
  const ForwardSweep sweep(context, seen, out.row_slice(alignment.blind, alignment.steps),
                           kept.denominators);
  SweepRun(context, sweep, alignment.steps, {kept.sums, total, false}).run();
}

}  // namespace arena
