// Bytes and counted work of feature attention.

#include "variants/engine/feature_pieces.hpp"

namespace arena {

using feature_detail::Chunk;
using feature_detail::kChunk;
using feature_detail::Pieces;
using feature_detail::SweepRun;
using feature_detail::Widths;

namespace {

Widths widths_of(const FeatureShape& shape) {
  return {shape.num_features, shape.head_dim, shape.scaled};
}

FeatureShape shape_of(const Problem& problem, const FeatureWork& work) {
  return {problem.extents, problem.setup.head_dim, work.num_features, problem.setup.causal,
          work.scaled};
}

Index steps_of(const FeatureShape& shape) {
  return std::min(shape.extents.query_len, shape.extents.key_len);
}

/// Keys that every causal query sees.
Index shared_keys(const FeatureShape& shape) {
  return std::max(Index{0}, shape.extents.key_len - shape.extents.query_len);
}

Index sums_bytes(const FeatureShape& shape, Index count) {
  return stored_bytes<float>(count * widths_of(shape).sum_floats());
}

/// Sums that forward keeps: of all keys, or (causal) before each piece.
Index kept_sums_bytes(const FeatureShape& shape) {
  return sums_bytes(shape, shape.causal ? Pieces(steps_of(shape)).count() : 1);
}

/// On every worker that takes part.
Index worker_scratch(const FeatureShape& shape) {
  return shape.causal ? SweepRun::scratch(widths_of(shape)) : Chunk::bytes(widths_of(shape));
}

/// Of summing over `rows` rows in pieces.
Index parts_bytes(const FeatureShape& shape, Index rows) {
  return rows == 0 ? 0 : sums_bytes(shape, Pieces(rows).count());
}

/// On the calling worker beside worker_scratch().
Index forward_scratch(const FeatureShape& shape, bool has_frame) {
  const Index summed = shape.causal ? shared_keys(shape) : shape.extents.key_len;
  return (has_frame ? 0 : kept_sums_bytes(shape)) + parts_bytes(shape, summed);
}

Index backward_scratch(const FeatureShape& shape) {
  if (!shape.causal) return sums_bytes(shape, 1) + parts_bytes(shape, shape.extents.query_len);
  const Index all = shared_keys(shape) > 0 ? 1 : 0;
  return sums_bytes(shape, Pieces(steps_of(shape)).count() + all);
}

/// Pairs within the chunks of `steps` causal queries and keys.
double triangle_pairs(Index steps) {
  const Index rest = steps % kChunk;
  const Index pairs = (steps / kChunk * kChunk * (kChunk + 1) + rest * (rest + 1)) / 2;
  return static_cast<double>(pairs);
}

}  // namespace

Index feature_frame_bytes(const FeatureShape& shape) {
  const Index denominators = stored_bytes<float>(shape.extents.query_len);
  return (shape.scaled ? 2 : 1) * denominators + kept_sums_bytes(shape);
}

Index feature_scratch_bytes(const FeatureShape& shape) {
  return worker_scratch(shape) + std::max(forward_scratch(shape, false), backward_scratch(shape));
}

double feature_bytes(const Problem& problem, const FeatureWork& work) {
  const FeatureShape shape = shape_of(problem, work);
  const Index heads = problem.setup.num_heads, workers = problem.workers;
  const bool trains = problem.pass != Pass::kForward;
  const Index caller = trains ? std::max(forward_scratch(shape, true), backward_scratch(shape))
                              : forward_scratch(shape, false);
  const Index callers = heads >= workers ? workers : 1;  // heads side by side, or one by one
  const Index frames = trains ? heads * feature_frame_bytes(shape) : 0;
  return static_cast<double>(frames + callers * caller + workers * worker_scratch(shape));
}

double feature_flops(const Problem& problem, const FeatureWork& work) {
  const FeatureShape shape = shape_of(problem, work);
  const auto features = static_cast<double>(work.num_features);
  const auto values = static_cast<double>(shape.head_dim);
  const auto [query_len, key_len] = shape.extents;
  // A query or key against sums of S and z costs one product; so does adding it to them.
  const auto rows = static_cast<double>(query_len + key_len);
  double forward = rows, backward = 2 * rows, pairs = 0;
  double maps_forward = rows, maps_backward = rows, derivatives = rows;
  if (shape.causal) {  // queries that see no key cost nothing, keys that all see no more than that
    const auto steps = static_cast<double>(steps_of(shape));
    const auto shared = static_cast<double>(shared_keys(shape));
    forward = maps_forward = derivatives = 2 * steps + shared;
    backward = 5 * steps + 2 * shared;
    maps_backward = 4 * steps + shared;
    pairs = triangle_pairs(steps_of(shape));
  }
  const auto flops = [&](double sums, double triangles, double maps, double mapped_back) {
    return 2 * (sums * features * (values + 1) + triangles * pairs * (features + values)) +
           maps * work.evaluate + mapped_back * work.differentiate;
  };
  double of_head = 0;
  if (problem.pass != Pass::kBackward) of_head += flops(forward, 1, maps_forward, 0);
  if (problem.pass != Pass::kForward) of_head += flops(backward, 3, maps_backward, derivatives);
  return of_head * static_cast<double>(problem.setup.num_heads);
}

}  // namespace arena
