#pragma once
// Summands of attention scores, each written a tile at a time and given the derivatives of a tile
// at a time; explicit_softmax.hpp does the rest.
//
// A tile is never visited by two workers at once in backward, nor are two tiles of the same keys:
// derivatives by what belongs to a pair or a key go where they belong. Those by what belongs to a
// query are summed in a part, of which each chunk of keys has its own, and parts are added in
// order.

#include "harness/layers/product.hpp"
#include "variants/engine/tile_mask.hpp"

namespace arena {

class ScoreSource {
 public:
  virtual ~ScoreSource() = default;
  /// scores [queries, keys] = or += what this source gives.
  virtual void write(Range queries, Range keys, View scores, Output output) const = 0;
  /// Derivatives that belong to one query.
  virtual Index part_width() const { return 0; }
  /// Adds to its own gradients and to part [queries, part_width], given d_scores [queries, keys].
  virtual void add_gradients(Range queries, Range keys, ConstView d_scores, View part) const = 0;
  /// Adds a part [queries, part_width] to its own gradients.
  virtual void add_part(Range queries, ConstView part) const {
    static_cast<void>(queries), static_cast<void>(part);
  }
};

/// s_ij = table_ij. An empty d_table: no gradient is wanted.
class TableScores final : public ScoreSource {
 public:
  explicit TableScores(const ConstView& table, const View& d_table = {})
      : table_(table), d_table_(d_table) {}
  void write(Range queries, Range keys, View scores, Output output) const override;
  void add_gradients(Range queries, Range keys, ConstView d_scores, View part) const override;

 private:
  ConstView table_;
  View d_table_;
};

/// s_ij = <left_i, column j of right> + bias_j.
class ProductScores final : public ScoreSource {
 public:
  struct Operands {
    ConstView left;    // [query_len, width]
    Factor right;      // [width, key_len]
    ConstView bias{};  // [1, key_len] or empty
  };
  /// All are added to; all empty: none is wanted.
  struct Gradients {
    View left{};
    View right{};  // shape of right's matrix, be it transposed or not
    View bias{};
    float left_factor = 1;  // of what is added to left
  };
  explicit ProductScores(const Operands& operands) : ProductScores(operands, {}) {}
  ProductScores(const Operands& operands, const Gradients& gradients)
      : operands_(operands), gradients_(gradients) {}
  void write(Range queries, Range keys, View scores, Output output) const override;
  Index part_width() const override { return gradients_.left.empty() ? 0 : operands_.left.cols(); }
  void add_gradients(Range queries, Range keys, ConstView d_scores, View part) const override;
  void add_part(Range queries, ConstView part) const override;

 private:
  Operands operands_;
  Gradients gradients_;
};

/// s_ij = low(i, j mod low.cols()) * high(i, j / low.cols()): each row is an outer product, laid
/// out in a line.
class OuterScores final : public ScoreSource {
 public:
  OuterScores(const ConstView& low, const ConstView& high, const View& d_low = {},
              const View& d_high = {})
      : low_(low), high_(high), d_low_(d_low), d_high_(d_high) {}
  void write(Range queries, Range keys, View scores, Output output) const override;
  Index part_width() const override { return low_.cols() + high_.cols(); }
  void add_gradients(Range queries, Range keys, ConstView d_scores, View part) const override;
  void add_part(Range queries, ConstView part) const override;

 private:
  ConstView low_, high_;
  View d_low_, d_high_;
};

}  // namespace arena
