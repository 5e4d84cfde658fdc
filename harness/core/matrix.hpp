#pragma once
// Row-major float matrices that somebody else owns, with a row stride: the currency of the project.

#include <Eigen/Core>

namespace arena {

using Index = Eigen::Index;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixD = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A writable [rows, cols] matrix at `data`, `stride` floats from row to row. Copying a View copies
/// the reference; assigning to one writes the elements (Eigen's rule for maps).
class View : public Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>> {
 public:
  using Base = Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;
  using Base::operator=;
  View() : View(nullptr, 0, 0) {}
  View(float* data, Index rows, Index cols) : View(data, rows, cols, cols) {}
  View(float* data, Index rows, Index cols, Index stride)
      : Base(data, rows, cols, Eigen::OuterStride<>(stride)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): a matrix is wherever a view of it is wanted
  View(Matrix& matrix) : View(matrix.data(), matrix.rows(), matrix.cols()) {}
  View(const View&) = default;
  View& operator=(const View& other) {
    Base::operator=(other);
    return *this;
  }

  /// Columns [first, first + count) of every row; no copy.
  View column_slice(Index first, Index count) const {
    return {begin() + first, rows(), count, outerStride()};
  }
  /// Rows [first, first + count); no copy.
  View row_slice(Index first, Index count) const {
    return {begin() + first * outerStride(), count, cols(), outerStride()};
  }
  bool empty() const { return size() == 0; }

 private:
  float* begin() const { return const_cast<float*>(data()); }
};

/// The read-only counterpart of View.
class ConstView : public Eigen::Map<const Matrix, Eigen::Unaligned, Eigen::OuterStride<>> {
 public:
  using Base = Eigen::Map<const Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;
  ConstView() : ConstView(nullptr, 0, 0) {}
  ConstView(const float* data, Index rows, Index cols) : ConstView(data, rows, cols, cols) {}
  ConstView(const float* data, Index rows, Index cols, Index stride)
      : Base(data, rows, cols, Eigen::OuterStride<>(stride)) {}
  // NOLINTBEGIN(google-explicit-constructor): as for View
  ConstView(const View& view)
      : ConstView(view.data(), view.rows(), view.cols(), view.outerStride()) {}
  ConstView(const Matrix& matrix) : ConstView(matrix.data(), matrix.rows(), matrix.cols()) {}
  // NOLINTEND(google-explicit-constructor)

  ConstView column_slice(Index first, Index count) const {
    return {data() + first, rows(), count, outerStride()};
  }
  ConstView row_slice(Index first, Index count) const {
    return {data() + first * outerStride(), count, cols(), outerStride()};
  }
  bool empty() const { return size() == 0; }
};

/// What a function does with the values its output already has.
enum class Output { kOverwrite, kAdd };

}  // namespace arena
