#pragma once
// The m x m middle of Nyström's reconstruction, in double:
//
//   A = softmax(scale q~ k~^T) [m, m],  result = A+ pooled,  A+ by pseudo_inverse.hpp
//   d_pooled = (A+)^T d_result,  d_A+ = d_result pooled^T,  and back through A+ and the softmax

#include "variants/engine/pseudo_inverse.hpp"

namespace arena {

/// Lives in the workspace of `team`, for as long as that is not released.
class LandmarkKernel {
 public:
  struct Shape {
    Index landmarks;
    Index head_dim;
    Index iterations;
    PseudoInverse::Keep keep;  // kAll: backward follows
  };

  LandmarkKernel(const Team& team, const Shape& shape);
  static Index bytes(const Shape& shape);
  static double flops_forward(const Shape& shape);
  static double flops_backward(const Shape& shape);  // with what it computes again

  /// result = A+ pooled; query, key (the landmarks), pooled and result are [landmarks, head_dim].
  void run(const ConstView& query, const ConstView& key, const ConstView& pooled, float scale,
           View result);
  /// Overwrites d_pooled, adds to d_query and d_key.
  void backward(const ConstView& query, const ConstView& key, const ConstView& d_result,
                View d_pooled, View d_query, View d_key);

 private:
  void normalise();
  void differentiate_softmax(DoubleMatrix d_a) const;

  Team team_;
  Shape shape_;
  double scale_ = 1;
  DoubleMatrix a_, pooled_, rows_, product_, columns_;
  DoubleMatrix d_a_, d_inverse_;
  PseudoInverse inverse_;
};

}  // namespace arena
