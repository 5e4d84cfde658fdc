#pragma once
// Kernel attention through features: exp(<q, k>) replaced by <phi(q), phi(k)>, so that the sums
// over keys are taken once and not per query.
//
//   S = sum_j phi(k_j) v_j^T [num_features, head_dim],  z = sum_j phi(k_j)
//   out_i = phi(q_i)^T S / den_i,  den_i = <phi(q_i), z> + epsilon;  causal: sums over j <= i
//   n_i = d_out_i / den_i,  delta_i = -<d_out_i, out_i> / den_i
//   d_phi(q_i) = S n_i + delta_i z        d_S = sum_i phi(q_i) n_i^T,  d_z = sum_i delta_i phi(q_i)
//   d_phi(k_j) = d_S v_j + d_z            d_v_j = d_S^T phi(k_j);      causal: sums over i >= j
//
// Causal sums go chunk by chunk: between chunks the running S and z, within one the explicit
// triangle of <phi(q_i), phi(k_j)>. Sequences are cut into pieces whose number depends on the
// length alone, so that one head occupies a team and any number of threads gives the same bits. A
// causal query that sees no key gives 0. Any lengths, head_dim and num_features from 1.

#include "variants/attention.hpp"

namespace arena {

/// A map of rows to features that are not negative, applied to some rows at once.
class FeatureMap {
 public:
  virtual ~FeatureMap() = default;
  virtual Index num_features() const = 0;
  /// Writes features [rows, num_features] of x [rows, head_dim].
  virtual void evaluate(const ConstView& x, View features) const = 0;
  /// Overwrites d_x [rows, head_dim], given the features of x and their derivative.
  virtual void differentiate(const ConstView& x, const ConstView& features,
                             const ConstView& d_features, View d_x) const = 0;
};

struct FeatureAttention {
  const FeatureMap& query_map;
  const FeatureMap& key_map;  // as many features
  float epsilon;              // above 0: keeps the denominator away from 0
  bool causal;
};

/// Writes out [query_len, head_dim] and, where given, what backward needs to the frame.
void feature_forward(const Team& team, const FeatureAttention& attention, const HeadInputs& in,
                     View out, Frame* frame);

/// Overwrites d_in.
void feature_backward(const Team& team, const FeatureAttention& attention, const HeadInputs& in,
                      const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in);

/// What the sizes below depend on.
struct FeatureShape {
  Extents extents;
  Index head_dim;
  Index num_features;
  bool causal;
};

Index feature_frame_bytes(const FeatureShape& shape);
/// Bytes of scratch on the calling worker, at most.
Index feature_scratch_bytes(const FeatureShape& shape);

/// Variant::flops and Variant::analytic_bytes of a variant that only calls this engine. The
/// products are counted, and the denominator as one more column of value; causal triangles by their
/// pairs.
double feature_flops(const Problem& problem, Index num_features);
double feature_bytes(const Problem& problem, Index num_features);

}  // namespace arena
