// Products of every form and size, by either unit, against double.

#include "harness/layers/product.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "tests/gradient_check.hpp"

namespace arena {
namespace {

// Inputs, weights and outputs of a few dozen numbers near 1: sums are exact to about 1e-5.
constexpr float kSumTolerance = 2e-5F;

TEST(Product, EqualsDoubleInAllFormsAtEverySizeAroundATile) {
  for (const Index rows : {1, 2, 7, 8, 9, 17, 64, 130}) {
    for (const Index cols : {1, 10, 16, 17, 31, 32, 48, 70}) {
      for (const Index depth : {1, 3, 64, 300}) {
        for (const int form : {0, 1, 2, 3}) {
          const Matrix a = random_matrix(1, rows, depth, 0.3F);
          const Matrix b = random_matrix(2, depth, cols, 0.3F);
          const Matrix a_transposed = a.transpose(), b_transposed = b.transpose();
          const Factor left = form & 1 ? transpose(a_transposed) : Factor(a);
          const Factor right = form & 2 ? transpose(b_transposed) : Factor(b);
          const MatrixD exact = a.cast<double>() * b.cast<double>();
          Matrix c = Matrix::Constant(rows, cols, 7);
          multiply(left, right, c, Output::kOverwrite);
          EXPECT_LT((c.cast<double>() - exact).cwiseAbs().maxCoeff(), kSumTolerance);
          multiply(left, right, c, Output::kAdd);
          EXPECT_LT((c.cast<double>() - 2 * exact).cwiseAbs().maxCoeff(), kSumTolerance)
              << rows << " " << cols << " " << depth << " " << form;
        }
      }
    }
  }
}

TEST(Product, SumsTermsFromBiasAndResidual) {
  for (const auto& [rows, depth] : {std::pair<Index, Index>{19, 20}, {75, 40}}) {
    for (const Index cols : {5, 32, 50}) {
      const Matrix a1 = random_matrix(1, rows, depth, 0.3F),
                   b1 = random_matrix(2, depth, cols, 0.3F);
      const Matrix a2 = random_matrix(3, 400, rows, 0.3F), b2 = random_matrix(4, 400, cols, 0.3F);
      const Matrix bias = random_matrix(5, 1, cols), residual = random_matrix(6, rows, cols);
      const std::array terms{Term{a1, b1}, Term{transpose(a2), b2}};
      const MatrixD sum =
          a1.cast<double>() * b1.cast<double>() + a2.transpose().cast<double>() * b2.cast<double>();
      const MatrixD biased = sum.rowwise() + bias.cast<double>().row(0);
      Matrix c = Matrix::Constant(rows, cols, 7);
      multiply(terms, {}, c);
      EXPECT_LT((c.cast<double>() - sum).cwiseAbs().maxCoeff(), kSumTolerance);
      multiply(terms, {.bias = bias}, c);
      EXPECT_LT((c.cast<double>() - biased).cwiseAbs().maxCoeff(), kSumTolerance);
      multiply(terms, {.bias = bias, .rows = residual}, c);
      EXPECT_LT((c.cast<double>() - biased - residual.cast<double>()).cwiseAbs().maxCoeff(),
                kSumTolerance);
    }
  }
}

TEST(Product, HasTheSameBitsOnAnyTeam) {
  const Matrix a = random_matrix(1, 700, 150), b = random_matrix(2, 700, 90);
  Workers one(1), two(2);
  Matrix first = Matrix::Ones(150, 90), second = first;
  multiply(one.team(), transpose(a), b, first, Output::kAdd);
  multiply(two.team(), transpose(a), b, second, Output::kAdd);
  EXPECT_EQ(first, second);

  const Matrix c = random_matrix(3, 150, 40), d = random_matrix(4, 90, 40);
  const Matrix bias = random_matrix(5, 1, 90);
  const std::array terms{Term{transpose(a), b}, Term{c, transpose(d)}};
  Matrix alone = first;
  multiply(terms, {.bias = bias, .rows = alone}, alone);
  multiply(one.team(), terms, {.bias = bias, .rows = first}, first);
  multiply(two.team(), terms, {.bias = bias, .rows = second}, second);
  EXPECT_EQ(first, alone);
  EXPECT_EQ(second, alone);
}

TEST(Product, OfOneLeftFactorGoesWithManyRightOnes) {
  constexpr Index kProducts = 40, kRows = 97, kDepth = 64;  // more than are done at once
  const Matrix a = random_matrix(1, kRows, kDepth), bias = random_matrix(2, 1, kDepth);
  for (const Index threads : {1, 2}) {
    Workers workers(threads);
    const Team team = workers.team();
    std::vector<Matrix> right, results;
    for (Index i = 0; i < kProducts; ++i) {
      right.push_back(random_matrix(3 + static_cast<std::uint64_t>(i), kDepth, 32 + i % 3, 0.3F));
      results.push_back(Matrix::Ones(kRows, 32 + i % 3));
    }
    {
      Products products(team, a);
      for (std::size_t i = 0; i < right.size(); ++i) {
        const ConstView some = ConstView(bias).column_slice(0, right[i].cols());
        products.add({right[i], {.bias = some, .rows = results[i]}, results[i]});
      }
    }
    for (std::size_t i = 0; i < right.size(); ++i) {
      MatrixD exact = a.cast<double>() * right[i].cast<double>();
      exact.rowwise() += bias.leftCols(right[i].cols()).cast<double>().row(0);
      exact.array() += 1;
      EXPECT_LT((results[i].cast<double>() - exact).cwiseAbs().maxCoeff(), 1e-5) << i;
    }
  }
}

/// The middle of a larger matrix whose other elements are `rest`.
struct Inside {
  Inside(Index rows, Index cols, float rest, float value)
      : whole(Matrix::Constant(rows + 4, cols + 9, rest)) {
    view().setConstant(value);
  }
  View view() {
    return View(whole).row_slice(2, whole.rows() - 4).column_slice(5, whole.cols() - 9);
  }
  Matrix whole;
};

TEST(Product, WritesAndReadsNothingBesideItsViews) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kGuard = 12345;
  for (const auto& [len, depth] : {std::pair<Index, Index>{9, 21}, {41, 50}}) {
    for (const Index cols : {3, 37, 64}) {
      for (const int form : {0, 1, 2, 3}) {
        const bool a_turned = (form & 1) != 0, b_turned = (form & 2) != 0;
        Inside a(a_turned ? depth : len, a_turned ? len : depth, kNan, 1);
        Inside b(b_turned ? cols : depth, b_turned ? depth : cols, kNan, 1);
        Inside c(len, cols, kGuard, kNan), bias(1, cols, kNan, 2), rows(len, cols, kNan, 3);
        const Term term{{a.view(), a_turned}, {b.view(), b_turned}};
        multiply(std::span(&term, 1), {.bias = bias.view(), .rows = rows.view()}, c.view());
        EXPECT_TRUE((c.view().array() == static_cast<float>(depth + 5)).all());
        c.view().setConstant(kGuard);
        EXPECT_TRUE((c.whole.array() == kGuard).all());
      }
    }
  }
}

TEST(Product, Transposes) {
  const Matrix x = random_matrix(4, 37, 50);
  Matrix y(50, 37);
  transpose(x, y);
  EXPECT_EQ(y, x.transpose());
}

}  // namespace
}  // namespace arena
