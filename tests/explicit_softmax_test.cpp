// Softmax attention over written scores against the explicit formula in double: a table, a product
// and outer products added up, at scores far apart, under masks, on any number of threads.

#include "variants/engine/explicit_softmax.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "variants/engine/tiled_softmax.hpp"

namespace arena {
namespace {

/// Of max |expected|. Scores of up to 100 in size round to 4e-6 each.
constexpr double kTolerance = 1e-4;
constexpr Index kWidth = 20;   // of values
constexpr Index kInner = 12;   // of the product
constexpr Index kLow = 17;     // of the outer products
constexpr float kSpread = 20;  // of the table: references must move

struct Case {
  Extents extents;
  Index before, after;  // of the band
  bool right_transposed;
};

Matrix normal(Index rows, Index cols, float deviation, std::uint64_t seed) {
  Matrix matrix(rows, cols);
  fill_normal(RandomKey(seed), deviation, matrix);
  return matrix;
}

struct Numbers {
  explicit Numbers(const Case& c)
      : table(normal(c.extents.query_len, c.extents.key_len, kSpread, 1)),
        left(normal(c.extents.query_len, kInner, 1, 2)),
        right(c.right_transposed ? normal(c.extents.key_len, kInner, 1, 3)
                                 : normal(kInner, c.extents.key_len, 1, 3)),
        bias(normal(1, c.extents.key_len, 1, 4)),
        low(normal(c.extents.query_len, kLow, 1, 5)),
        high(normal(c.extents.query_len, c.extents.key_len / kLow + 1, 1, 6)),
        value(normal(c.extents.key_len, kWidth, 1, 7)) {}

  std::vector<Matrix*> all() { return {&table, &left, &right, &bias, &low, &high, &value}; }

  Matrix table, left, right, bias, low, high, value;
};

struct Result {
  explicit Result(const Case& c)
      : out(c.extents.query_len, kWidth), statistics(2, c.extents.query_len), d(c) {
    for (Matrix* matrix : d.all()) matrix->setZero();
    out.setConstant(std::numeric_limits<float>::quiet_NaN());
  }
  Matrix out, statistics;
  Numbers d;
};

Result run(const Case& c, Numbers& n, const Matrix& d_out, Index threads) {
  Result r(c);
  Workers workers(threads);
  const Factor right(n.right, c.right_transposed);
  const TableScores table(n.table, r.d.table);
  const ProductScores product({n.left, right, n.bias}, {r.d.left, r.d.right, r.d.bias});
  const OuterScores outer(n.low, n.high, r.d.low, r.d.high);
  const std::array<const ScoreSource*, 3> scores{&table, &product, &outer};
  const BandMask mask(c.extents, c.before, c.after);
  const ScoredValues in{scores, n.value, mask};
  explicit_softmax_forward(workers.team(), in, r.out, r.statistics);
  explicit_softmax_backward(workers.team(), in, {.out = d_out, .forward_out = r.out},
                            ConstView(r.statistics), r.d.value);
  return r;
}

struct Expected {
  MatrixD out, table, left, right, bias, low, high, value;
};

Expected expected(const Case& c, const Numbers& n, const Matrix& d_out) {
  const auto in_double = [](const Matrix& m) -> MatrixD { return m.cast<double>(); };
  const BandMask mask(c.extents, c.before, c.after);
  const MatrixD right =
      c.right_transposed ? MatrixD(in_double(n.right).transpose()) : in_double(n.right);
  MatrixD p = in_double(n.table) + in_double(n.left) * right;
  p.rowwise() += in_double(n.bias).row(0);
  for (Index i = 0; i < p.rows(); ++i) {
    double row_max = -HUGE_VAL;
    for (Index j = 0; j < p.cols(); ++j) {
      p(i, j) += static_cast<double>(n.low(i, j % kLow)) * static_cast<double>(n.high(i, j / kLow));
      if (!mask.sees(i, j)) p(i, j) = -HUGE_VAL;
      row_max = std::max(row_max, p(i, j));
    }
    // by the element: Eigen's exponential of minus infinity is not 0
    for (Index j = 0; j < p.cols(); ++j) {
      p(i, j) = mask.sees(i, j) ? std::exp(p(i, j) - row_max) : 0;
    }
    if (p.row(i).sum() > 0) p.row(i) /= p.row(i).sum();
  }
  Expected e;
  e.out = p * in_double(n.value);
  e.value = p.transpose() * in_double(d_out);
  MatrixD d = in_double(d_out) * in_double(n.value).transpose();
  for (Index i = 0; i < d.rows(); ++i) {
    const double mean = d.row(i).dot(p.row(i));
    d.row(i) = p.row(i).array() * (d.row(i).array() - mean);
  }
  e.table = d;
  e.left = d * right.transpose();
  e.right = in_double(n.left).transpose() * d;
  if (c.right_transposed) e.right = MatrixD(e.right.transpose());
  e.bias = d.colwise().sum();
  e.low = MatrixD::Zero(n.low.rows(), n.low.cols());
  e.high = MatrixD::Zero(n.high.rows(), n.high.cols());
  for (Index i = 0; i < d.rows(); ++i) {
    for (Index j = 0; j < d.cols(); ++j) {
      e.low(i, j % kLow) += d(i, j) * static_cast<double>(n.high(i, j / kLow));
      e.high(i, j / kLow) += d(i, j) * static_cast<double>(n.low(i, j % kLow));
    }
  }
  return e;
}

void expect_close(const Matrix& got, const MatrixD& wanted, const char* what) {
  const MatrixD distance = got.cast<double>() - wanted;
  ASSERT_TRUE(distance.allFinite()) << what;
  EXPECT_LE(distance.cwiseAbs().maxCoeff(),
            // d_s of a single key is zero but for the rounding of dot products
            kTolerance * std::max(0.05, wanted.cwiseAbs().maxCoeff()))
      << what;
}

class ExplicitSoftmax : public testing::TestWithParam<Case> {};

TEST_P(ExplicitSoftmax, EqualsTheFormulaInDoubleOnAnyNumberOfThreads) {
  const Case& c = GetParam();
  Numbers n(c);
  const Matrix d_out = normal(c.extents.query_len, kWidth, 1, 8);
  Result one = run(c, n, d_out, 1);
  const Expected e = expected(c, n, d_out);
  expect_close(one.out, e.out, "out");
  expect_close(one.d.table, e.table, "d_table");
  expect_close(one.d.left, e.left, "d_left");
  expect_close(one.d.right, e.right, "d_right");
  expect_close(one.d.bias, e.bias, "d_bias");
  expect_close(one.d.low, e.low, "d_low");
  expect_close(one.d.high, e.high, "d_high");
  expect_close(one.d.value, e.value, "d_value");
  for (const Index threads : {2, 3}) {
    Result more = run(c, n, d_out, threads);
    EXPECT_TRUE((one.out.array() == more.out.array()).all()) << threads << " threads";
    for (std::size_t m = 0; m < one.d.all().size(); ++m) {
      EXPECT_TRUE((one.d.all()[m]->array() == more.d.all()[m]->array()).all())
          << "gradient " << m << ", " << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, ExplicitSoftmax,
                         testing::Values(Case{{1, 1}, 9, 9, false}, Case{{33, 33}, 99, 99, true},
                                         Case{{300, 300}, 999, 999, false},
                                         Case{{1100, 1100}, 9999, 0, true},  // causal, 3 chunks
                                         Case{{70, 700}, 50, 20, false},     // a window
                                         Case{{200, 90}, 999, 0, true}));    // rows without a key

}  // namespace
}  // namespace arena
