#pragma once
// Sinkhorn's normalisation of a square matrix in log space: towards rows and columns that sum to 1.
//
//   T times:  r_il -= log sum over l of exp r_il;  r_il -= log sum over i of exp r_il
//   weights = softmax of each row of r over the first `columns` columns
//   backward of a normalisation:  d_r_in = d_r_out - exp(r_out) * (sum of d_r_out over the same
//   axis)
//
// Strictly lower form (causal): only l < i exist, and a column's sum at row i runs over rows up to
// i, because later ones are the future. Its backward, with g running up each column:
//   g_i = d_r_out_i + (1 - exp r_out_{i+1}) g_{i+1},  d_r_in_i = d_r_out_i - exp(r_out_i) g_i
//
// In units of log2. T = 0 leaves a plain softmax of rows.

#include "harness/core/workspace.hpp"

namespace arena {

class SinkhornBalance {
 public:
  /// Matrices are [size, width()]; columns from size on mean nothing, as do those from i on in row
  /// i of the strictly lower form, but all are written.
  SinkhornBalance(Index size, Index iterations, bool strictly_lower);
  Index width() const { return width_; }

  /// Marks what does not exist in `log_weights`, of which the rest is set.
  void hide(View log_weights) const;
  /// In place. Where steps, [2 * iterations * size, width()], is not empty, it receives log_weights
  /// after each normalisation.
  void run(View log_weights, View steps) const;
  /// d_log_weights in place, in natural units.
  void backward(const ConstView& steps, View d_log_weights) const;

  /// weights = the share of each existing column below `columns` in its row; 0 elsewhere.
  void weights(const ConstView& log_weights, Index columns, View weights) const;
  /// d_log_weights += the gradient of that, in natural units.
  void add_weights_gradient(const ConstView& weights, const ConstView& d_weights,
                            View d_log_weights) const;

 private:
  void normalise_rows(View r) const;
  void normalise_columns(View r) const;
  void accumulate_columns(View r) const;
  void rows_backward(const ConstView& out, View d) const;
  void columns_backward(const ConstView& out, View d) const;
  void accumulated_backward(const ConstView& out, View d) const;

  Index size_;
  Index iterations_;
  bool strictly_lower_;
  Index width_;
};

}  // namespace arena
