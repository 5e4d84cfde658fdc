#pragma once
// Scores of edges made of one number for each end: s_e = LeakyReLU(dst_i + src_j) for e = (i, j),
// with slope 0.2 below 0.
//
//   d_dst_i, d_src_j = the sums of d_s_e LeakyReLU' over the row of i and the column of j

#include "harness/layers/rows.hpp"
#include "variants/engine/sparse_softmax.hpp"

namespace arena {

class NodeScores final : public EdgeScores {
 public:
  /// Of nodes [2, n], dst and src; their gradients are written to d_nodes [2, n].
  explicit NodeScores(const ConstView& nodes, const View& d_nodes = {})
      : dst_(row_of(nodes, 0)), src_(row_of(nodes, 1)), d_nodes_(d_nodes) {}

  void evaluate(Index query, Numbers keys, float* scores) const override;
  void add_to_query(Index query, Numbers keys, bool first, float* d_scores) const override;
  void add_to_key(Index key, Numbers queries, bool first, const float* d_scores) const override;

 private:
  void add(Index end, Index node, Numbers edges, bool first, const float* d_scores) const;

  const float* dst_;
  const float* src_;
  View d_nodes_;
};

/// to[i] = <x_i, vector> for each row of x [n, d], of a vector [1, d].
void project_rows(const Team& team, const ConstView& x, const ConstView& vector, float* to);

}  // namespace arena
