#pragma once
// Variant::flops and Variant::analytic_bytes of all heads, from what one head takes.

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

/// Frames and scratch when heads run by Team::for_each. `sizes` says what one head takes: frame()
/// bytes, and SoftmaxScratch forward(workers, saves) and backward(workers).
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
