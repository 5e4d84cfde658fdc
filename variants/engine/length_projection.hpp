#pragma once
// Learned mixtures of positions: mixed = P x, where P [mixtures, max_len] is a parameter of which a
// sequence uses its first columns.
//
//   d_x = P^T d_mixed,  d_P += d_mixed x^T

#include "harness/layers/product.hpp"
#include "variants/attention.hpp"

namespace arena {

/// Starts as N(0, 0.02), as in Nyströmformer's code, whose accuracies on Long Range Arena are
/// quoted. Larger ones (Xavier in LRA's code; N(0, 1 / mixtures) by the Johnson-Lindenstrauss
/// argument of Linformer's paper) learn later: mixtures of 1,000 positions are then up to twice
/// what they mix.
ParameterSpec length_projection(const char* name, Index mixtures, Index max_len, Sharing sharing);

class LengthProjection {
 public:
  /// That parameter of `weights`, which must outlive this.
  LengthProjection(const Weights& weights, Index parameter)
      : weights_(weights), parameter_(parameter) {}

  /// Writes mixed [mixtures, d] of x [length, d]. Throws Error where P has fewer columns.
  void forward(const Team& team, const ConstView& x, View mixed) const;
  /// Overwrites d_x, adds to d_projection [mixtures, max_len].
  void backward(const Team& team, const ConstView& x, const ConstView& d_mixed, View d_x,
                View d_projection) const;

 private:
  const Weights& weights_;
  Index parameter_;
};

}  // namespace arena
