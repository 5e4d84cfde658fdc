#pragma once
// Footprint, Variant::flops and Variant::analytic_bytes, from what one head takes.
//
// `Sizes` says that: frame() bytes, and the scratch of forward(workers, saves) and
// backward(workers) as SoftmaxScratch (bytes on the caller, and on all workers).

#include <algorithm>

#include "variants/attention.hpp"

namespace arena {

/// Of all heads in the pass that is asked for, given those of one head's two passes.
inline double flops_of_heads(const Problem& p, double forward, double backward) {
  const double each = p.pass == Pass::kForward    ? forward
                      : p.pass == Pass::kBackward ? backward
                                                  : forward + backward;
  return each * static_cast<double>(p.setup.num_heads);
}

/// Of a softmax over so many pairs of a head: two products forward; backward makes the scores again
/// and has four more.
inline double softmax_flops(const Problem& p, Index pairs) {
  const auto product = static_cast<double>(2 * pairs * p.setup.head_dim);
  return flops_of_heads(p, 2 * product, 5 * product);
}

/// Of one head on a team of `workers`.
template <class Sizes>
Footprint footprint_of(const Sizes& sizes, Index workers) {
  const Index forward = sizes.forward(workers, false).caller;
  return {.frame = sizes.frame(), .scratch = std::max(forward, sizes.backward(workers).caller)};
}

/// Frames and scratch when heads run by Team::for_each.
template <class Sizes>
double bytes_of_heads(const Problem& p, const Sizes& sizes) {
  const Index heads = p.setup.num_heads;
  const bool saves = p.pass != Pass::kForward, one_worker_each = heads >= p.workers;
  const Index inner = one_worker_each ? 1 : p.workers;
  Index scratch = sizes.forward(inner, saves).total;
  if (saves) scratch = std::max(scratch, sizes.backward(inner).total);
  const Index all = (one_worker_each ? p.workers : 1) * scratch;
  return static_cast<double>(all + (saves ? heads * sizes.frame() : 0));
}

}  // namespace arena
