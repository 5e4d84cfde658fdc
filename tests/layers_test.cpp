#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "harness/layers/activation.hpp"
#include "harness/layers/dropout.hpp"
#include "harness/layers/embedding.hpp"
#include "harness/layers/layer_norm.hpp"
#include "harness/layers/loss.hpp"
#include "harness/layers/pooling.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/simd.hpp"
#include "tests/gradient_check.hpp"

namespace arena {
namespace {

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

TEST(Simd, Exp2IsAccurateAndSafe) {
  constexpr Index kCount = 1 << 16;
  std::vector<float> x(kCount), y(kCount);
  for (Index i = 0; i < kCount; ++i) {
    x[static_cast<std::size_t>(i)] = -130 + 257 * static_cast<float>(i) / kCount;
  }
  using Limits = std::numeric_limits<float>;
  const std::vector<float> special{-Limits::infinity(), -3e38F, -1e4F, 0, 1, 126, -1,
                                   Limits::quiet_NaN()};
  std::copy(special.begin(), special.end(), x.begin());
  for (Index i = 0; i < kCount; i += simd::kWidth) {
    simd::store(y.data() + i, simd::exp2(simd::load(x.data() + i)));
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i])) {
      EXPECT_TRUE(std::isnan(y[i]));
    } else if (x[i] < -120) {
      EXPECT_EQ(y[i], 0) << x[i];
    } else {
      EXPECT_NEAR(y[i] / std::exp2(static_cast<double>(x[i])), 1, 2.5e-7) << x[i];
    }
  }
  EXPECT_EQ(y[3], 1);
}

}  // namespace
}  // namespace arena
