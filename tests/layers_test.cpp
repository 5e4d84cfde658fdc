#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "harness/layers/activation.hpp"
#include "harness/layers/dropout.hpp"
#include "harness/layers/embedding.hpp"
#include "harness/layers/layer_norm.hpp"
#include "harness/layers/loss.hpp"
#include "harness/layers/pooling.hpp"
#include "harness/layers/row_blocks.hpp"
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

TEST(Linear, BackwardIsTheDerivative) {
  Matrix x = random_matrix(1, 70, 20), w = random_matrix(2, 20, 33, 0.3F);
  Matrix b = random_matrix(3, 1, 33), y(70, 33), d_x(70, 20);
  const Matrix d_y = random_matrix(4, 70, 33);
  Matrix d_w = Matrix::Zero(20, 33), d_b = Matrix::Zero(1, 33), w_transposed(33, 20);
  const auto loss = [&] {
    linear(x, w, b, y);
    return weighted_sum(y, d_y);
  };
  transpose(w, w_transposed);
  linear_backward_input(d_y, w_transposed, d_x, Output::kOverwrite);
  linear_backward_weights(x, d_y, d_w, d_b);
  expect_gradient(x, d_x, loss, 1);
  expect_gradient(w, d_w, loss, 2);
  expect_gradient(b, d_b, loss, 3);
}

TEST(Linear, WeightGradientsHaveTheSameBitsOnAnyTeam) {
  const Matrix x = random_matrix(1, 200, 140), d_y = random_matrix(2, 200, 40);
  std::vector<Matrix> results;
  for (const Index threads : {1, 2, 3}) {
    Workers workers(threads);
    Matrix d_w = Matrix::Ones(140, 40), d_b = Matrix::Ones(1, 40);
    linear_backward_weights(workers.team(), x, d_y, d_w, d_b);
    results.push_back(d_w);
    results.push_back(d_b);
  }
  EXPECT_EQ(results[0], results[2]);
  EXPECT_EQ(results[0], results[4]);
  EXPECT_EQ(results[1], results[5]);
}

TEST(LayerNorm, NormsEachRow) {
  const Matrix x = random_matrix(1, 5, 24, 3);
  Matrix y(5, 24), statistics(5, 2);
  const Matrix ones = Matrix::Ones(1, 24), zeros = Matrix::Zero(1, 24);
  layer_norm(x, ones, zeros, 1e-5F, y, statistics);
  for (Index i = 0; i < 5; ++i) {
    EXPECT_NEAR(y.row(i).mean(), 0, 1e-6);
    EXPECT_NEAR(y.row(i).squaredNorm() / 24, 1, 1e-5);
  }
}

TEST(LayerNorm, EqualsDoubleAtEveryWidthAroundAVector) {
  for (const Index width : {1, 7, 16, 17, 64, 70}) {
    const Matrix x = random_matrix(1, 3, width, 3), scale = random_matrix(2, 1, width);
    const Matrix shift = random_matrix(3, 1, width), d_y = random_matrix(4, 3, width);
    Matrix y(3, width), statistics(3, 2), d_x(3, width);
    Matrix d_scale = Matrix::Zero(1, width), d_shift = Matrix::Zero(1, width);
    constexpr double kEpsilon = 1e-5;
    layer_norm(x, scale, shift, static_cast<float>(kEpsilon), y, statistics);
    layer_norm_backward(x, statistics, scale, d_y, {}, d_x, d_scale, d_shift);
    MatrixD scale_sum = MatrixD::Zero(1, width);
    for (Index i = 0; i < 3; ++i) {
      const auto row = x.row(i).cast<double>().array();
      const double mean = row.mean();
      const double factor = 1 / std::sqrt((row - mean).square().mean() + kEpsilon);
      const MatrixD n = ((row - mean) * factor).matrix();
      const MatrixD g = d_y.row(i).cast<double>().cwiseProduct(scale.cast<double>());
      const double gn = g.cwiseProduct(n).mean();
      const MatrixD d = factor * ((g.array() - g.mean()) - n.array() * gn).matrix();
      const MatrixD normed = n.cwiseProduct(scale.cast<double>()) + shift.cast<double>();
      scale_sum += d_y.row(i).cast<double>().cwiseProduct(n);
      EXPECT_LT((y.row(i).cast<double>() - normed).cwiseAbs().maxCoeff(), 3e-6) << width;
      EXPECT_LT((d_x.row(i).cast<double>() - d).cwiseAbs().maxCoeff(), 3e-6) << width;
    }
    EXPECT_LT((d_scale.cast<double>() - scale_sum).cwiseAbs().maxCoeff(), 1e-5) << width;
    EXPECT_LT((d_shift - d_y.colwise().sum()).cwiseAbs().maxCoeff(), 1e-5) << width;
  }
}

TEST(LayerNorm, BackwardIsTheDerivative) {
  Matrix x = random_matrix(1, 6, 20), scale = random_matrix(2, 1, 20),
         shift = random_matrix(3, 1, 20);
  Matrix y(6, 20), statistics(6, 2), d_x = Matrix::Ones(6, 20);
  const Matrix d_y = random_matrix(4, 6, 20);
  Matrix d_scale = Matrix::Zero(1, 20), d_shift = Matrix::Zero(1, 20);
  const auto loss = [&] {
    layer_norm(x, scale, shift, 1e-5F, y, statistics);
    return weighted_sum(y, d_y);
  };
  loss();
  layer_norm_backward(x, statistics, scale, d_y, {}, d_x, d_scale, d_shift);
  expect_gradient(x, d_x, loss, 1);
  expect_gradient(scale, d_scale, loss, 2);
  expect_gradient(shift, d_shift, loss, 3);
  Matrix again(6, 20), added = Matrix::Ones(6, 20);
  loss();
  layer_norm_again(x, scale, shift, statistics, again);
  EXPECT_EQ(again, y);
  layer_norm_backward(x, statistics, scale, d_y, added, added, d_scale, d_shift);
  EXPECT_LT((added - d_x - Matrix::Ones(6, 20)).cwiseAbs().maxCoeff(), 1e-5);
}

TEST(Gelu, EqualsTheErrorFunctionsForm) {
  Matrix x(1, 4001), y(1, 4001), again(1, 4001), slope(1, 4001);
  const Matrix ones = Matrix::Ones(1, 4001);
  for (Index i = 0; i < x.cols(); ++i) x(0, i) = -20 + 0.01F * static_cast<float>(i);
  gelu(x, y);
  gelu_backward(x, ones, again, slope);
  EXPECT_EQ(y, again);
  for (Index i = 0; i < x.cols(); ++i) {
    const double v = x(0, i);
    const double below = 0.5 * std::erfc(-v / std::sqrt(2.0));
    const double density = std::exp(-v * v / 2) / std::sqrt(2 * std::acos(-1.0));
    EXPECT_NEAR(y(0, i), v * below, 3e-7 * std::max(1.0, std::abs(v)));
    EXPECT_NEAR(slope(0, i), below + v * density, 5e-7);
  }
}

TEST(Gelu, BackwardMayOverwriteItsInput) {
  const Matrix x = random_matrix(1, 3, 17), d_y = random_matrix(2, 3, 17);
  Matrix y(3, 17), d_x(3, 17), in_place = d_y;
  gelu_backward(x, d_y, y, d_x);
  gelu_backward(x, in_place, y, in_place);
  EXPECT_EQ(d_x, in_place);
}

TEST(Relu, CutsValuesAndGradients) {
  Matrix x(1, 3), d(1, 3);
  x << -1, 0, 2;
  d << 5, 6, 7;
  relu(x);
  relu_backward(x, d);
  EXPECT_EQ(x, (Matrix(1, 3) << 0, 0, 2).finished());
  EXPECT_EQ(d, (Matrix(1, 3) << 0, 0, 7).finished());
}

TEST(Elu, IsSmoothToMinusOneAndHasItsDerivative) {
  Matrix x = random_matrix(1, 3, 17), y(3, 17), d = random_matrix(2, 3, 17);
  elu(x, y);
  for (Index i = 0; i < x.size(); ++i) {
    const float at = x.data()[i];
    EXPECT_NEAR(y.data()[i], at > 0 ? at : std::expm1(at), 1e-6);
  }
  const Matrix d_y = d;
  elu_backward(x, d);
  expect_gradient(
      x, d,
      [&] {
        elu(x, y);
        return weighted_sum(y, d_y);
      },
      1, 1e-3);
}

TEST(Embedding, WithoutPositionsIsTheRowsOfTokens) {
  const Matrix token_table = random_matrix(1, 5, 8), d_y = random_matrix(3, 3, 8);
  Matrix y(3, 8), d_token = Matrix::Zero(5, 8);
  embed(std::vector<std::int32_t>{3, 0, 3}, token_table, {}, y);
  EXPECT_EQ(y.row(1), token_table.row(0));
  EXPECT_EQ(y.row(2), token_table.row(3));
  embed_backward(std::vector<std::int32_t>{3, 0, 3}, d_y, d_token, {});
  EXPECT_EQ(d_token.row(3), d_y.row(0) + d_y.row(2));
}

TEST(Embedding, BackwardAddsToTheRowsItRead) {
  Matrix token_table = random_matrix(1, 5, 8), position_table = random_matrix(2, 6, 8), y(4, 8);
  const std::vector<std::int32_t> tokens{3, 0, 3, 4};
  const Matrix d_y = random_matrix(3, 4, 8);
  const auto loss = [&] {
    embed(tokens, token_table, position_table, y);
    return weighted_sum(y, d_y);
  };
  Matrix d_token = Matrix::Zero(5, 8), d_position = Matrix::Zero(6, 8);
  embed_backward(tokens, d_y, d_token, d_position);
  expect_gradient(token_table, d_token, loss, 1);
  expect_gradient(position_table, d_position, loss, 2);
  EXPECT_EQ(d_token.row(3), d_y.row(0) + d_y.row(2));
}

TEST(Pooling, IsTheMeanAndItsDerivative) {
  const Matrix x = random_matrix(1, 10, 7), d_y = random_matrix(2, 1, 7);
  Matrix y = Matrix::Zero(1, 7), d_x(10, 7);
  mean_pool_block(View(const_cast<float*>(x.data()), 4, 7), 10, y);
  mean_pool_block(View(const_cast<float*>(x.data()) + 28, 6, 7), 10, y);
  EXPECT_LT((y - x.colwise().mean()).cwiseAbs().maxCoeff(), 1e-6);
  mean_pool_backward(d_y, 10, d_x);
  EXPECT_LT((d_x.row(9) - d_y / 10).cwiseAbs().maxCoeff(), 1e-7);
}

TEST(Dropout, KeepsTheMeanAndIsAFunctionOfPosition) {
  const Dropout dropout(RandomKey(7), 0.3, 50);
  Matrix whole = Matrix::Ones(1000, 50), part = Matrix::Ones(3, 50);
  dropout.apply(0, whole);
  EXPECT_NEAR(whole.mean(), 1, 4 * std::sqrt(0.3 / 0.7 / 50000));
  const auto zeros = static_cast<double>((whole.array() == 0).count());
  EXPECT_NEAR(zeros / 50000, 0.3, 4 * std::sqrt(0.21 / 50000));
  dropout.apply(500, part);
  EXPECT_EQ(part, whole.middleRows(500, 3));
  Matrix other = Matrix::Ones(1000, 50);
  Dropout(RandomKey(8), 0.3, 50).apply(0, other);
  EXPECT_NE(other, whole);
}

TEST(Dropout, FollowsItsDocumentedLayout) {
  const RandomKey key(11);
  Matrix x = Matrix::Ones(4, 50);
  Dropout(key, 0.5, 50).apply(0, x);
  for (Index p = 0; p < 200; ++p) {
    const auto e = static_cast<std::uint64_t>(p % 128);
    const auto words = key.words(static_cast<std::uint64_t>(16 * (p / 128)) + e % 16);
    const std::uint32_t half = words[e / 32] >> (16 * ((e / 16) % 2)) & 0xFFFF;
    EXPECT_EQ(x(p / 50, p % 50), half < 32768 ? 0.0F : 2.0F) << p;
  }
}

TEST(Dropout, HasOneMaskInAllItsForms) {
  for (const double rate : {0.0, 0.3}) {
    const Dropout dropout(RandomKey(7), rate, 50);
    const Matrix x = random_matrix(1, 9, 50), residual = random_matrix(2, 9, 50);
    Matrix masked = x, copied(9, 50), added(9, 50), first = x, second = residual;
    dropout.apply(3, masked);
    dropout.copy(3, x, copied);
    dropout.add(3, x, residual, added);
    dropout.apply_to_both(3, first, second);
    EXPECT_EQ(copied, masked);
    EXPECT_EQ(first, masked);
    EXPECT_LT((added - residual - masked).cwiseAbs().maxCoeff(), 1e-6);
    dropout.apply(3, copied = residual);
    EXPECT_EQ(second, copied);
  }
}

TEST(Dropout, OfRateZeroDoesNothing) {
  Matrix x = random_matrix(1, 3, 5);
  const Matrix kept = x;
  Dropout(RandomKey(1), 0, 5).apply(0, x);
  EXPECT_EQ(x, kept);
}

TEST(CrossEntropy, GivesLossAccuracyAndGradient) {
  Matrix logits = random_matrix(1, 4, 5, 2);
  const std::vector<std::int32_t> labels{0, 3, 3, 1};
  const auto loss = [&] {
    Matrix copy = logits;
    return 0.5 * cross_entropy(copy, labels, 1, {}).loss;
  };
  Matrix gradient = logits;
  std::vector<std::uint8_t> right(4, 9);
  const LossSum sum = cross_entropy(gradient, labels, 0.5F, right);
  expect_gradient(logits, gradient, loss, 1);
  double expected = 0;
  Index correct = 0;
  for (Index i = 0; i < 4; ++i) {
    const auto label = labels[static_cast<std::size_t>(i)];
    double total = 0;
    for (Index j = 0; j < 5; ++j) total += std::exp(static_cast<double>(logits(i, j)));
    expected += std::log(total) - static_cast<double>(logits(i, label));
    Index best = 0;
    logits.row(i).maxCoeff(&best);
    EXPECT_EQ(right[static_cast<std::size_t>(i)], best == label ? 1 : 0);
    correct += best == label ? 1 : 0;
  }
  EXPECT_NEAR(sum.loss, expected, 1e-5);
  EXPECT_EQ(sum.correct, correct);
}

TEST(CrossEntropy, StaysFiniteWithHugeLogits) {
  Matrix logits(1, 3);
  logits << 1e30F, -1e30F, 0;
  const LossSum sum = cross_entropy(logits, std::vector<std::int32_t>{0}, 1, {});
  EXPECT_EQ(sum.loss, 0);
  EXPECT_TRUE(logits.allFinite());
}

}  // namespace
}  // namespace arena
