#pragma once
// Features of projections y = W x^ on m random rows w_r ~ N(0, I), x^ = x / d^(1/4): their inner
// products estimate a kernel of query and key without bias. d is the width of x.
//
//   kSoftmax     phi_r = exp(y_r - |x^|^2 / 2);  E <phi(q), phi(k)> / m = exp(<q, k> / sqrt d)
//   kHyperbolic  those of W and of -W side by side; the same mean over 2 m
//   kRelu        phi_r = max(y_r, 0) + 1e-3
//   kPlainRelu   phi_r = max(x_r, 0) + 1e-3: no W, nothing random
//
// Exponential features are written over the largest of their row (feature_attention.hpp), plus
// epsilon. So epsilon is relative to each key's own largest feature: one stabiliser for all keys,
// as usual elsewhere, would have to be the largest of all and would tell earlier queries of later
// keys.
//
//   d_x^ = sum_r d_phi_r ((phi_r - epsilon) (w_r - x^) + epsilon (w_s - x^)), s that of the largest
//   kRelu: sum_r d_phi_r [y_r > 0] w_r

#include "variants/engine/feature_attention.hpp"

namespace arena {

constexpr float kFeatureEpsilon = 1e-6F;
constexpr float kReluFloor = 1e-3F;

enum class RandomKernel { kSoftmax, kHyperbolic, kRelu, kPlainRelu };

class RandomFeatures final : public FeatureMap {
 public:
  /// W [m, d] (kPlainRelu: [0, d]). Its transpose is written to the workspace, where it must live
  /// as long as this.
  RandomFeatures(RandomKernel kernel, ConstView projection, Workspace& workspace);
  static Index scratch_bytes(Index rows, Index width) { return stored_bytes<float>(rows * width); }
  /// Features of `rows` = m rows, and flops of m and d.
  static FeatureWork work(RandomKernel kernel, Index rows, Index width);

  Index num_features() const override { return num_features_; }
  bool scaled() const override { return exponential(kernel_); }
  void evaluate(const ConstView& x, View features, float* exponents) const override;
  void differentiate(const ConstView& x, const ConstView& features, View d_features,
                     View d_x) const override;

 private:
  static bool exponential(RandomKernel kernel) {
    return kernel == RandomKernel::kSoftmax || kernel == RandomKernel::kHyperbolic;
  }
  void exponentiate(const ConstView& x, View features, float* exponents) const;
  void rectify(const ConstView& y, View features) const;
  void differentiate_exponentials(const ConstView& x, const ConstView& features, View d_features,
                                  View d_x) const;
  void differentiate_rectified(const ConstView& features, const ConstView& d_features, float factor,
                               View d_y) const;

  RandomKernel kernel_;
  ConstView projection_;
  Index num_features_;
  float shrink_;     // d^(-1/4)
  View transposed_;  // shrink W^T, times log2(e) for exponentials
};

/// <phi(q_i), phi(k_j)> over the number of features, in double, from features as evaluate() gives
/// them.
MatrixD feature_products(const FeatureMap& map, const ConstView& query, const ConstView& key);

}  // namespace arena
