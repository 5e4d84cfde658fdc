// The parts of attention through landmarks: products in double, the pseudo-inverse, softmax with
// one short side, convolution along the sequence.

#include <gtest/gtest.h>

#include <cmath>

#include "variants/engine/pseudo_inverse.hpp"
#include "variants/engine/segment_mean.hpp"
#include "variants/engine/sequence_convolution.hpp"
#include "variants/engine/split_softmax.hpp"

namespace arena {
namespace {

Matrix normal(Index rows, Index cols, std::uint64_t seed) {
  Matrix matrix(rows, cols);
  fill_normal(RandomKey(seed), 1, matrix);
  return matrix;
}

MatrixD to_eigen(const DoubleMatrix& from, Index rows, Index cols) {
  MatrixD to(rows, cols);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) to(i, j) = from.row(i)[j];
  }
  return to;
}

DoubleMatrix to_double_matrix(Workspace& workspace, const Matrix& from) {
  const DoubleMatrix to = DoubleMatrix::take(workspace, from.rows(), from.cols());
  convert(from, to);
  return to;
}

TEST(DoubleMatrix, ProductsAgreeWithEigen) {
  Workers workers(2);
  Workspace& workspace = workers.team().workspace();
  for (const Index size : {1, 7, 8, 20, 33, 70}) {
    const Matrix a = normal(size, size + 3, 1), b = normal(size + 3, size + 9, 2);
    const DoubleMatrix left = to_double_matrix(workspace, a);
    const DoubleMatrix left_t = to_double_matrix(workspace, a.transpose());
    const DoubleMatrix right = to_double_matrix(workspace, b);
    const DoubleMatrix to = DoubleMatrix::take(workspace, size, size + 9);
    const MatrixD expected = a.cast<double>() * b.cast<double>();
    multiply(workers.team(), left, right, to, {.factor = -2, .diagonal = 5});
    const MatrixD shifted = -2 * expected + 5 * MatrixD::Identity(size, size + 9);
    EXPECT_LT((to_eigen(to, size, size + 9) - shifted).norm(), 1e-12 * shifted.norm());
    multiply(workers.team(), {left_t, true}, right, to, {.factor = 2, .add = true});
    const MatrixD identity = 5 * MatrixD::Identity(size, size + 9);
    EXPECT_LT((to_eigen(to, size, size + 9) - identity).norm(), 1e-12 * shifted.norm());
  }
}

/// |I - A Z| after some steps, A = softmax of random scores.
double residual(Index size, Index iterations) {
  Workers workers(1);
  Matrix a = (2 * normal(size, size, 3)).array().exp();
  for (Index i = 0; i < size; ++i) a.row(i) /= a.row(i).sum();
  Workspace& workspace = workers.team().workspace();
  const DoubleMatrix matrix = to_double_matrix(workspace, a);
  PseudoInverse inverse(workspace, size, iterations, PseudoInverse::Keep::kLast);
  inverse.run(workers.team(), matrix);
  const MatrixD z = to_eigen(inverse.inverse(), size, size);
  return (MatrixD::Identity(size, size) - a.cast<double>() * z).norm();
}

TEST(PseudoInverse, ResidualFallsWithThirdOrderOnceItIsBelowOne) {
  for (const Index size : {5, 16, 33}) {
    double before = residual(size, 1);
    bool below = before < 1;
    for (Index iterations = 2; iterations <= 30; ++iterations) {
      const double now = residual(size, iterations);
      if (below) {
        EXPECT_LE(now, std::max(std::pow(before, 3), 1e-11)) << size << " " << iterations;
      }
      below = below || now < 1;
      before = now;
    }
    EXPECT_LT(before, 1e-11) << size;
  }
}

TEST(Segments, CoverTheSequenceAndDifferByOneRow) {
  for (const Index len : {5, 12, 50}) {
    for (Index count = 1; count <= len; ++count) {
      const Segments segments{len, count};
      EXPECT_EQ(segments.begin(0), 0);
      EXPECT_EQ(segments.begin(count), len);
      for (Index s = 0; s < count; ++s) {
        EXPECT_EQ(segments.size(s), len / count + (s >= count - len % count ? 1 : 0));
      }
    }
  }
}

/// Long enough that both sides are cut into pieces of several tiles.
constexpr Index kLong = 1700;
constexpr Index kShort = 37;
constexpr Index kDim = 20;

TEST(SplitSoftmax, FewQueriesGiveWhatTheEngineGives) {
  Workers workers(2);
  const Matrix query = 3 * normal(kShort, kDim, 1), key = normal(kLong, kDim, 2),
               value = normal(kLong, kDim, 3);
  const HeadInputs in{query, key, value};
  Matrix out(kShort, kDim), expected(kShort, kDim), statistics(2, kShort), whole(2, kShort);
  softmax_forward_few_queries(workers.team(), in, 0.5F, out, statistics);
  softmax_forward(workers.team(), in, 0.5F, BandMask::full({kShort, kLong}), {.out = expected},
                  whole);
  EXPECT_LT((out - expected).cwiseAbs().maxCoeff(), 1e-5F);
  EXPECT_LT((statistics.colwise().sum() - whole.colwise().sum()).cwiseAbs().maxCoeff(), 1e-4F);
}

TEST(SplitSoftmax, FewKeysGiveTheEnginesGradients) {
  Workers workers(2);
  const Matrix query = normal(kLong, kDim, 1), key = 3 * normal(kShort, kDim, 2),
               value = normal(kShort, kDim, 3), d_out = normal(kLong, kDim, 4),
               d_log_sum_exp = normal(kLong, 1, 5);
  const HeadInputs in{query, key, value};
  const BandMask mask = BandMask::full({kLong, kShort});
  Matrix out(kLong, kDim), statistics(2, kLong);
  softmax_forward(workers.team(), in, 0.5F, mask, {.out = out}, statistics);
  const HeadOutputGrads grads{.out = d_out, .log_sum_exp = d_log_sum_exp, .forward_out = out};
  Matrix d_query(kLong, kDim), d_key(kShort, kDim), d_value(kShort, kDim);
  Matrix q(kLong, kDim), k(kShort, kDim), v(kShort, kDim);
  softmax_backward(workers.team(), in, 0.5F, mask, grads, statistics, {q, k, v});
  softmax_backward_few_keys(workers.team(), in, 0.5F, grads, statistics, {d_query, d_key, d_value});
  EXPECT_LT((d_query - q).cwiseAbs().maxCoeff(), 1e-5F * q.cwiseAbs().maxCoeff());
  EXPECT_LT((d_key - k).cwiseAbs().maxCoeff(), 1e-5F * k.cwiseAbs().maxCoeff());
  EXPECT_LT((d_value - v).cwiseAbs().maxCoeff(), 1e-5F * v.cwiseAbs().maxCoeff());
}

TEST(Convolution, AgreesWithPlainLoops) {
  Workers workers(2);
  constexpr Index kLen = 700;  // more than one piece
  for (const Index size : {1, 4, 35}) {
    const Matrix x = normal(kLen, kDim, 1), kernel = normal(1, size, 2),
                 d_y = normal(kLen, kDim, 3);
    Matrix y = Matrix::Ones(kLen, kDim), d_x = Matrix::Ones(kLen, kDim);
    Matrix d_kernel = Matrix::Ones(1, size), dots(kLen, 1);
    add_convolution(workers.team(), x, kernel, y);
    add_convolution_input_gradient(workers.team(), d_y, kernel, d_x);
    add_convolution_kernel_gradient(workers.team(), x, d_y, kernel, d_kernel, dots);
    MatrixD expected = MatrixD::Zero(kLen, kDim), by_x = MatrixD::Ones(kLen, kDim);
    MatrixD by_kernel = MatrixD::Ones(1, size);
    for (Index i = 0; i < kLen; ++i) {
      for (Index c = 0; c < size; ++c) {
        const Index j = i + c - (size - 1) / 2;
        if (j < 0 || j >= kLen) continue;
        expected.row(i) += (kernel(0, c) * x.row(j)).cast<double>();
        by_x.row(j) += (kernel(0, c) * d_y.row(i)).cast<double>();
        by_kernel(0, c) += d_y.row(i).cast<double>().dot(x.row(j).cast<double>());
      }
    }
    const MatrixD by_row = expected.cwiseProduct(d_y.cast<double>()).rowwise().sum();
    EXPECT_LT((y.cast<double>() - expected - MatrixD::Ones(kLen, kDim)).norm(),
              1e-5 * expected.norm());
    EXPECT_LT((d_x.cast<double>() - by_x).norm(), 1e-5 * by_x.norm());
    EXPECT_LT((d_kernel.cast<double>() - by_kernel).norm(), 1e-5 * by_kernel.norm());
    EXPECT_LT((dots.cast<double>() - by_row).norm(), 1e-5 * by_row.norm());
  }
}

}  // namespace
}  // namespace arena
