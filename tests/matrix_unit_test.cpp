// The matrix unit: packed operands and their product against double sums. Skipped where the machine
// has none.

#include "harness/layers/matrix_unit.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "harness/core/random.hpp"

namespace arena::matrix_unit {
namespace {

#ifdef ARENA_HAS_MATRIX_UNIT

struct Shape {
  Index rows, depth, cols;
};

class MatrixUnit : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (!available()) GTEST_SKIP() << "no matrix unit";
  }
};

/// Random numbers between columns of NaN, which must not be read.
Matrix random(Index rows, Index cols, std::uint64_t seed) {
  Matrix values(rows, cols);
  fill_normal(RandomKey(seed), 1, values);
  Matrix storage = Matrix::Constant(rows, cols + 5, std::numeric_limits<float>::quiet_NaN());
  storage.middleCols(2, cols) = values;
  return storage;
}
ConstView inner(const Matrix& storage) {
  return ConstView(storage).column_slice(2, storage.cols() - 5);
}
Source source(const Matrix& storage) {
  return rows_of(inner(storage), 0, storage.rows());
}

std::vector<Panel> panels(Index outer, Index depth, int parts) {
  return std::vector<Panel>(static_cast<std::size_t>(blocks(outer) * blocks(depth) * parts));
}

/// a b from packed operands, sums starting at `start`.
template <int kParts>
Matrix product(const Shape& s, const std::vector<Panel>& a, const std::vector<Panel>& b,
               float start) {
  const Index depth = blocks(s.depth), stride = blocks(s.cols) * kBlock;
  std::vector<float> sums(static_cast<std::size_t>(blocks(s.rows) * kBlock * stride));
  const std::vector<float> row(kBlock, start);
  const Session session;
  multiply<kParts>(
      {a.data(), depth * kParts}, blocks(s.rows), {b.data(), depth * kParts}, blocks(s.cols), depth,
      sums.data(), stride, [&](Index, Index) { Sums::load(row.data(), 0); }, [] {});
  return ConstView(sums.data(), s.rows, s.cols, stride);
}

/// |got - want| as a share of what the products of magnitudes sum up to.
double error(const Matrix& got, const MatrixD& a, const MatrixD& b, double start) {
  const MatrixD want = (a * b).array() + start;
  const MatrixD size = (a.cwiseAbs() * b.cwiseAbs()).array() + std::abs(start);
  return ((got.cast<double>() - want).array().abs() / size.array()).maxCoeff();
}

TEST_P(MatrixUnit, ProductsOfAllPartsAreAsExactAsFloat) {
  const Shape s = GetParam();
  const Matrix a = random(s.rows, s.depth, 1), b = random(s.depth, s.cols, 2);
  auto left = panels(s.rows, s.depth, kExact), right = panels(s.cols, s.depth, kExact);
  pack_left<kExact>(source(a), left.data());
  pack_right<kExact>(source(b), right.data());
  const Matrix got = product<kExact>(s, left, right, 0.75F);
  EXPECT_LT(error(got, inner(a).cast<double>(), inner(b).cast<double>(), 0.75), 4e-7);
}

TEST_P(MatrixUnit, TransposedOperandsGiveTheTransposedProduct) {
  const Shape s = GetParam();
  const Matrix a = random(s.depth, s.rows, 3), b = random(s.cols, s.depth, 4);
  auto left = panels(s.rows, s.depth, kExact), right = panels(s.cols, s.depth, kExact);
  pack_left_transposed<kExact>(source(a), left.data());
  pack_right_transposed<kExact>(source(b), 0.5F, right.data());
  const Matrix got = product<kExact>(s, left, right, 0);
  EXPECT_LT(
      error(got, inner(a).cast<double>().transpose(), 0.5 * inner(b).cast<double>().transpose(), 0),
      4e-7);
}

TEST_P(MatrixUnit, OnePartIsTheNearestBfloat16) {
  const Shape s = GetParam();
  const Matrix a = random(s.rows, s.depth, 5), b = random(s.depth, s.cols, 6);
  auto left = panels(s.rows, s.depth, 1), right = panels(s.cols, s.depth, 1);
  pack_left<1>(source(a), left.data());
  pack_right<1>(source(b), right.data());
  const double got =
      error(product<1>(s, left, right, 0), inner(a).cast<double>(), inner(b).cast<double>(), 0);
  EXPECT_LT(got, 1.0 / 255);  // two factors, half a unit in the last of 8 bits each
  EXPECT_GT(got, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Shapes, MatrixUnit,
                         testing::Values(Shape{1, 1, 1}, Shape{16, 32, 16}, Shape{32, 32, 32},
                                         Shape{33, 17, 5}, Shape{64, 64, 128}, Shape{70, 100, 47},
                                         Shape{5, 160, 33}));

TEST(MatrixUnitParts, SumUpToTheFloat) {
  if (!available()) GTEST_SKIP() << "no matrix unit";
  alignas(64) Panel parts[kExact];
  for (const float x : {1.0F, -0.1F, 3.4e38F, 1.2345678e-20F, 0.0F, 16777215.0F}) {
    store_parts<kExact>(simd::Vec(x), simd::Vec(-x), parts, 1, 3);
    float low = 0, high = 0;
    for (const Panel& part : parts) {
      low += std::bit_cast<float>(part.at[1][3][0] << 16);
      high += std::bit_cast<float>(part.at[1][3][0] & 0xFFFF0000U);
    }
    EXPECT_EQ(low, x);
    EXPECT_EQ(high, -x);
  }
}

#endif

TEST(MatrixUnitAvailable, CanBeHidden) {
  if (std::getenv("ARENA_HIDE_AMX") == nullptr) GTEST_SKIP() << "not hidden";
  EXPECT_FALSE(available());
}

}  // namespace
}  // namespace arena::matrix_unit
