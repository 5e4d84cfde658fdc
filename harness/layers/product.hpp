#pragma once
// Matrix products of any shape by the register tile: X W, dY W^T, X^T dY and products along the
// sequence. Operands are read as they lie where that is fast, else packed a panel at a time on the
// stack; nothing is allocated and nothing beside the views is read.

#include <span>

#include "harness/core/inplace_vector.hpp"
#include "harness/core/team.hpp"

namespace arena {

/// What stands in a product: a matrix or its transpose.
struct Factor {
  // NOLINTBEGIN(google-explicit-constructor): a matrix is a factor as it is
  Factor(const ConstView& m) : matrix(m) {}
  Factor(const View& m) : matrix(m) {}
  Factor(const Matrix& m) : matrix(m) {}
  // NOLINTEND(google-explicit-constructor)
  Factor(const ConstView& m, bool is_transposed) : matrix(m), transposed(is_transposed) {}

  Index rows() const { return transposed ? matrix.cols() : matrix.rows(); }
  Index cols() const { return transposed ? matrix.rows() : matrix.cols(); }

  ConstView matrix;
  bool transposed = false;
};

inline Factor transpose(const ConstView& matrix) {
  return {matrix, true};
}

/// a b, one summand of a result.
struct Term {
  Factor a, b;
};

/// Where the sums of a result start: at a row `bias` [1, cols], at `rows` [rows, cols] (the result
/// itself or a residual), at their sum, or at zero where both are empty.
struct Start {
  ConstView bias{};
  ConstView rows{};
};

/// to [rows, cols] = start + sum of all terms. Each element is summed in the order of the terms and
/// along their inner dimension, however the result is cut into blocks.
void multiply(std::span<const Term> terms, const Start& start, View to);

/// to = or += a b.
void multiply(const Factor& a, const Factor& b, View to, Output output);

/// The other side of a product of one left factor: to [rows, cols] = start + a b.
struct Product {
  Factor b;
  Start start;
  View to;
};

/// Several products of one left factor, which may be read and packed once for all.
void multiply(const Factor& a, std::span<const Product> products);

/// Terms of one product that a team shares, at most.
constexpr std::size_t kMostSharedTerms = 16;

/// The same three, in parallel over blocks of the results.
void multiply(const Team& team, std::span<const Term> terms, const Start& start, View to);
void multiply(const Team& team, const Factor& a, const Factor& b, View to, Output output);
void multiply(const Team& team, const Factor& a, std::span<const Product> products);

/// Any number of products of one left factor, done some at a time.
class Products {
 public:
  Products(const Team& team, const Factor& a) : team_(team), a_(a) {}
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;
  ~Products() { run(); }

  void add(const Product& product) {
    if (products_.full()) run();
    products_.push_back(product);
  }

 private:
  void run() {
    if (products_.size() > 0) multiply(team_, a_, products_);
    products_.clear();
  }

  static constexpr std::size_t kAtOnce = 16;
  const Team& team_;
  Factor a_;
  InplaceVector<Product, kAtOnce> products_;
};

/// out [cols, rows] = in [rows, cols] transposed.
void transpose(ConstView in, View out);

}  // namespace arena
