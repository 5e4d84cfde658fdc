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
//
// Features of any size. A map may write row j over 2^exponent_j, so that features as large as
// e^1000 or as small as e^-1000 stay floats. The exponent of a query cancels. Sums over keys are
// held over 2^(largest exponent of their keys), and each query sees its own keys only: den_i and
// out_i are taken over 2^C_i, C_i = largest exponent among the keys that i sees. Sums over queries
// in backward are held over 2^(largest -C_i). So no exponential is above 1, and nothing of a later
// key reaches an earlier query, not even by rounding.
//
// State (Call::state in, State out) is S and z of all keys before: they are seen by every query of
// the call. No gradient goes back through it: what d_S and d_z would give them is dropped.

#include "variants/attention.hpp"

namespace arena {

/// A map of rows to features that are not negative, applied to some rows at once.
class FeatureMap {
 public:
  virtual ~FeatureMap() = default;
  virtual Index num_features() const = 0;
  /// Whether evaluate() writes exponents.
  virtual bool scaled() const { return false; }
  /// Writes features [rows, num_features] of x [rows, head_dim], where scaled() over
  /// 2^exponents[row].
  virtual void evaluate(const ConstView& x, View features, float* exponents) const = 0;
  /// Overwrites d_x [rows, head_dim], given the features of x as evaluate() wrote them and
  /// 2^exponent times the derivative by features and powers together; the latter is overwritten.
  virtual void differentiate(const ConstView& x, const ConstView& features, View d_features,
                             View d_x) const = 0;
};

struct FeatureAttention {
  const FeatureMap& query_map;
  const FeatureMap& key_map;  // as many features; scaled() if query_map is
  float epsilon;              // above 0 where features may be 0: keeps the denominator away from it
  bool causal;
};

/// Writes out [query_len, head_dim] and, where given, what backward needs to the frame and the
/// state after these keys. Throws Error on a state of another size, or where a causal query sees
/// nothing but the state.
void feature_forward(const Call& call, const FeatureAttention& attention, const HeadInputs& in,
                     View out, Frame* frame, State* after);

/// Overwrites d_in.
void feature_backward(const Team& team, const FeatureAttention& attention, const HeadInputs& in,
                      const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in);

/// What the sizes below depend on.
struct FeatureShape {
  Extents extents;
  Index head_dim;
  Index num_features;
  bool causal;
  bool scaled = false;
};

Index feature_frame_bytes(const FeatureShape& shape);
/// Bytes of scratch on the calling worker, at most.
Index feature_scratch_bytes(const FeatureShape& shape);

/// A pair of maps as counted work.
struct FeatureWork {
  Index num_features;
  bool scaled = false;
  double evaluate = 0, differentiate = 0;  // flops of a row
};

/// Variant::flops and Variant::analytic_bytes of a variant that only calls this engine. The
/// products are counted, and the denominator as one more column of value; causal triangles by their
/// pairs; maps as often as they run.
double feature_flops(const Problem& problem, const FeatureWork& work);
double feature_bytes(const Problem& problem, const FeatureWork& work);

}  // namespace arena
