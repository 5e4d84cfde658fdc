#include "harness/layers/product.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "harness/layers/micro_kernel.hpp"

namespace arena {
namespace {

constexpr Index kDepth = 256;  // summed up in registers at a time
constexpr std::size_t kMaxPieces = 8;
constexpr Index kWide = 512;     // rows this far apart use few sets of a cache: packed, if ...
constexpr Index kManyTiles = 4;  // ... so many tiles read them
constexpr Index kSharedRows = 64 / kTileRows * kTileRows;  // of a block that one worker takes
constexpr Index kSharedCols = std::max(Index{64}, kTileLanes);

/// Some of the inner dimension of one term, with b as vectors, one panel wide.
struct Piece {
  const float* a = nullptr;  // a(0, 0)
  Index a_stride = 0;
  bool a_transposed = false;
  const float* b = nullptr;
  Index b_stride = 0;
  Index depth = 0;
};

/// Memory for what cannot be read or written as it lies.
struct Edges {
  alignas(64) float b[kDepth * kTileLanes];
  alignas(64) float a[kDepth * kTileRows];
  alignas(64) float to[kTileRows * kTileLanes];
  alignas(64) float bias[kTileLanes];
};

/// Columns [col, col + cols) of a result, at most kTileLanes.
class Panel {
 public:
  Panel(std::span<const Term> terms, const Start& start, const View& to, Index col, Index cols,
        Edges& edges)
      : terms_(terms), start_(start), to_(to), col_(col), cols_(cols), edges_(edges) {}

  /// All rows, kDepth steps of the inner dimension at a time.
  void run() {
    if (!start_.bias.empty()) bias_ = bias_lanes();
    rows_ = start_.rows.data();
    rows_stride_ = start_.rows.outerStride();
    Index depth = 0;
    for (const Term& term : terms_) {
      for (Index first = 0; first < term.a.cols();) {
        const Index count = std::min(term.a.cols() - first, kDepth - depth);
        pieces_[num_pieces_++] = piece(term, first, count, depth);
        first += count;
        depth += count;
        if (depth < kDepth && num_pieces_ < kMaxPieces) continue;
        flush();
        depth = 0;
      }
    }
    if (num_pieces_ > 0) flush();
  }

 private:
  /// Adds the pieces to where the sums stand, which is the result from then on.
  void flush() {
    with_vectors(cols_, [&]<int Vectors>() {
      Index row = 0;
      for (; row + kTileRows <= to_.rows(); row += kTileRows) tile<Vectors>(row, kTileRows);
      if (row < to_.rows()) tile<Vectors>(row, to_.rows() - row);
    });
    num_pieces_ = 0;
    bias_ = nullptr;
    rows_ = to_.data();
    rows_stride_ = to_.outerStride();
  }

  /// The bias of these columns, as whole vectors.
  const float* bias_lanes() const {
    const float* const bias = start_.bias.data() + col_;
    if (whole_vectors()) return bias;
    std::fill(std::copy_n(bias, cols_, edges_.bias), edges_.bias + kTileLanes, 0.0F);
    return edges_.bias;
  }

  bool whole_vectors() const { return cols_ % simd::kWidth == 0; }

  /// Steps [first, first + count) of a term; b is packed behind `used` steps where it must be.
  Piece piece(const Term& term, Index first, Index count, Index used) const {
    const ConstView &a = term.a.matrix, &b = term.b.matrix;
    Piece result{.a = a.data() + first * (term.a.transposed ? a.outerStride() : 1),
                 .a_stride = a.outerStride(),
                 .a_transposed = term.a.transposed,
                 .depth = count};
    const bool far = b.outerStride() >= kWide && to_.rows() >= kManyTiles * kTileRows;
    if (!term.b.transposed && whole_vectors() && !far) {
      result.b = b.data() + first * b.outerStride() + col_;
      result.b_stride = b.outerStride();
      return result;
    }
    float* const packed = edges_.b + used * kTileLanes;
    if (term.b.transposed) {
      pack_transposed(b.column_slice(first, count), col_, cols_, 1, packed);
    } else {
      pack(b, first, count, packed);
    }
    result.b = packed;
    result.b_stride = kTileLanes;
    return result;
  }

  void pack(const ConstView& b, Index first, Index count, float* packed) const {
    for (Index t = 0; t < count; ++t) {
      float* const lanes = packed + t * kTileLanes;
      const float* const row = b.data() + (first + t) * b.outerStride() + col_;
      std::fill(std::copy_n(row, cols_, lanes), lanes + kTileLanes, 0.0F);
    }
  }

  template <int Vectors>
  ARENA_INLINE void tile(Index row, Index rows) {
    Accumulators<Vectors> sum;
    start(row, rows, sum);
    for (std::size_t p = 0; p < num_pieces_; ++p) add(pieces_[p], row, rows, sum);
    float* const place = to_.data() + row * to_.outerStride() + col_;
    if (whole_vectors()) {
      sum.store_rows(place, to_.outerStride(), rows);
    } else {
      sum.store_rows(edges_.to, kTileLanes, rows);
      copy_columns(edges_.to, kTileLanes, place, to_.outerStride(), rows);
    }
  }

  template <int Vectors>
  ARENA_INLINE void start(Index row, Index rows, Accumulators<Vectors>& sum) const {
    const float* const from = rows_ ? rows_ + row * rows_stride_ + col_ : nullptr;
    if (!from) {
      bias_ ? sum.repeat_row(bias_) : sum.clear();
      return;
    }
    if (whole_vectors()) {
      sum.load_rows(from, rows_stride_, rows);
    } else {
      copy_columns(from, rows_stride_, edges_.to, kTileLanes, rows);
      sum.load_rows(edges_.to, kTileLanes, rows);
    }
    if (bias_) sum.add_row(bias_);
  }

  void copy_columns(const float* from, Index from_stride, float* to, Index to_stride,
                    Index rows) const {
    for (Index r = 0; r < rows; ++r) std::copy_n(from + r * from_stride, cols_, to + r * to_stride);
  }

  template <int Vectors>
  ARENA_INLINE void add(const Piece& piece, Index row, Index rows, Accumulators<Vectors>& sum) {
    if (!piece.a_transposed) {
      const RowOperand operand(piece.a + row * piece.a_stride, piece.a_stride, rows);
      sum.multiply_add(operand, piece.b, piece.b_stride, piece.depth);
      return;
    }
    ColumnOperand operand{piece.a + row, piece.a_stride};
    if (rows < kTileRows) operand = padded(operand, rows, piece.depth);
    sum.multiply_add(operand, piece.b, piece.b_stride, piece.depth);
  }

  /// A ColumnOperand reads whole tiles: not beyond the matrix.
  ColumnOperand padded(const ColumnOperand& operand, Index rows, Index depth) const {
    for (Index t = 0; t < depth; ++t) {
      float* const to = edges_.a + t * kTileRows;
      std::fill(std::copy_n(operand.data + t * operand.stride, rows, to), to + kTileRows, 0.0F);
    }
    return {edges_.a, kTileRows};
  }

  std::span<const Term> terms_;
  Start start_;
  View to_;
  Index col_, cols_;
  const float* bias_ = nullptr;
  const float* rows_ = nullptr;  // where the sums stand, if not at zero
  Index rows_stride_ = 0;
  Edges& edges_;
  std::array<Piece, kMaxPieces> pieces_{};
  std::size_t num_pieces_ = 0;
};

/// Rows and columns of a factor's result side.
Factor rows_of(const Factor& a, Index first, Index count) {
  return {a.transposed ? a.matrix.column_slice(first, count) : a.matrix.row_slice(first, count),
          a.transposed};
}
Factor columns_of(const Factor& b, Index first, Index count) {
  return {b.transposed ? b.matrix.row_slice(first, count) : b.matrix.column_slice(first, count),
          b.transposed};
}

}  // namespace

void multiply(std::span<const Term> terms, const Start& start, View to) {
  Edges edges;
  for (Index col = 0; col < to.cols();) {
    // A last part that is no whole number of vectors is a panel of its own, so that only it is
    // packed.
    Index count = std::min(kTileLanes, to.cols() - col);
    if (count > simd::kWidth) count = count / simd::kWidth * simd::kWidth;
    Panel(terms, start, to, col, count, edges).run();
    col += count;
  }
}

void multiply(const Factor& a, const Factor& b, View to, Output output) {
  assert(a.cols() == b.rows() && a.rows() == to.rows() && b.cols() == to.cols());
  const Term term{a, b};
  multiply(std::span(&term, 1), {.rows = output == Output::kAdd ? ConstView(to) : ConstView()}, to);
}

void multiply(const Team& team, const Factor& a, const Factor& b, View to, Output output) {
  if (team.size() == 1) {
    multiply(a, b, to, output);
    return;
  }
  const Index row_blocks = (to.rows() + kSharedRows - 1) / kSharedRows;
  const Index col_blocks = (to.cols() + kSharedCols - 1) / kSharedCols;
  team.for_each(row_blocks * col_blocks, [&](Index i, const Team&) {
    const Index row = i / col_blocks * kSharedRows, col = i % col_blocks * kSharedCols;
    const Index rows = std::min(kSharedRows, to.rows() - row);
    const Index cols = std::min(kSharedCols, to.cols() - col);
    multiply(rows_of(a, row, rows), columns_of(b, col, cols),
             to.row_slice(row, rows).column_slice(col, cols), output);
  });
}

void transpose(ConstView in, View out) {
  assert(in.rows() == out.cols() && in.cols() == out.rows());
  copy_transposed(in.data(), in.outerStride(), in.rows(), in.cols(), 1, out.data(),
                  out.outerStride());
}

}  // namespace arena
