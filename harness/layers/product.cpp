#include "harness/layers/product.hpp"

#include <algorithm>
#include <cassert>

#include "harness/layers/matrix_product.hpp"
#include "harness/layers/micro_kernel.hpp"
#include "harness/layers/vector_product.hpp"

namespace arena {
namespace {

// of a block that one worker takes
constexpr Index kSharedRows = 64 / kTileRows * kTileRows;
constexpr Index kSharedCols = std::max(Index{64}, kTileLanes);

/// Rows and columns of a factor's result side.
Factor rows_of(const Factor& a, Index first, Index count) {
  return {a.transposed ? a.matrix.column_slice(first, count) : a.matrix.row_slice(first, count),
          a.transposed};
}
Factor columns_of(const Factor& b, Index first, Index count) {
  return {b.transposed ? b.matrix.row_slice(first, count) : b.matrix.column_slice(first, count),
          b.transposed};
}

void multiply_products(const Factor& a, std::span<const Product> products, bool on_matrix_unit) {
  if constexpr (matrix_unit::kInBuild) {
    if (on_matrix_unit) return matrix_unit::multiply(a, products);
  }
  for (const Product& product : products) {
    assert(a.cols() == product.b.rows() && a.rows() == product.to.rows() &&
           product.b.cols() == product.to.cols());
    const Term term{a, product.b};
    multiply_on_vectors(std::span(&term, 1), product.start, product.to);
  }
}

void multiply_terms(std::span<const Term> terms, const Start& start, const View& to,
                    bool on_matrix_unit) {
  if constexpr (matrix_unit::kInBuild) {
    if (on_matrix_unit) return matrix_unit::multiply(terms, start, to);
  }
  multiply_on_vectors(terms, start, to);
}

Product product_of(const Factor& b, const View& to, Output output) {
  return {b, {.rows = output == Output::kAdd ? ConstView(to) : ConstView()}, to};
}

/// A block of a result.
struct ResultBlock {
  Index row, rows, col, cols;

  template <class AnyView>
  AnyView of(const AnyView& x) const {
    return x.empty() ? x : x.row_slice(row, rows).column_slice(col, cols);
  }
  Factor of_left(const Factor& a) const { return rows_of(a, row, rows); }
  Factor of_right(const Factor& b) const { return columns_of(b, col, cols); }
  Start of(const Start& start) const {
    const ConstView& bias = start.bias;
    return {bias.empty() ? bias : bias.column_slice(col, cols), of(start.rows)};
  }
};

/// body(block) for the blocks of a result, in parallel.
template <class Body>
void for_blocks(const Team& team, Index rows, Index cols, const Body& body) {
  const Index row_blocks = (rows + kSharedRows - 1) / kSharedRows;
  const Index col_blocks = (cols + kSharedCols - 1) / kSharedCols;
  team.for_each(row_blocks * col_blocks, [&](Index i, const Team&) {
    const Index row = i / col_blocks * kSharedRows, col = i % col_blocks * kSharedCols;
    body(ResultBlock{row, std::min(kSharedRows, rows - row), col,
                     std::min(kSharedCols, cols - col)});
  });
}

}  // namespace

void multiply(std::span<const Term> terms, const Start& start, View to) {
  multiply_terms(terms, start, to, matrix_unit::takes(terms, to));
}

void multiply(const Factor& a, std::span<const Product> products) {
  multiply_products(a, products, matrix_unit::takes(a, products));
}

void multiply(const Factor& a, const Factor& b, View to, Output output) {
  const Product product = product_of(b, to, output);
  multiply(a, std::span(&product, 1));
}

void multiply(const Team& team, std::span<const Term> terms, const Start& start, View to) {
  const bool on_matrix_unit = matrix_unit::takes(terms, to);
  if (team.size() == 1) return multiply_terms(terms, start, to, on_matrix_unit);
  for_blocks(team, to.rows(), to.cols(), [&](const ResultBlock& block) {
    InplaceVector<Term, kMostSharedTerms> some;
    for (const auto& [a, b] : terms) some.push_back({block.of_left(a), block.of_right(b)});
    multiply_terms(some, block.of(start), block.of(to), on_matrix_unit);
  });
}

void multiply(const Team& team, const Factor& a, std::span<const Product> products) {
  const bool on_matrix_unit = matrix_unit::takes(a, products);
  if (team.size() == 1) return multiply_products(a, products, on_matrix_unit);
  for (const Product& product : products) {
    for_blocks(team, a.rows(), product.to.cols(), [&](const ResultBlock& block) {
      const Product part{block.of_right(product.b), block.of(product.start), block.of(product.to)};
      multiply_products(block.of_left(a), std::span(&part, 1), on_matrix_unit);
    });
  }
}

void multiply(const Team& team, const Factor& a, const Factor& b, View to, Output output) {
  const Product product = product_of(b, to, output);
  multiply(team, a, std::span(&product, 1));
}

void transpose(ConstView in, View out) {
  assert(in.rows() == out.cols() && in.cols() == out.rows());
  copy_transposed(in.data(), in.outerStride(), in.rows(), in.cols(), 1, out.data(),
                  out.outerStride());
}

}  // namespace arena
