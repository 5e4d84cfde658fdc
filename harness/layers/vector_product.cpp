#include "harness/layers/vector_product.hpp"

#include <algorithm>
#include <array>

#include "harness/layers/micro_kernel.hpp"

namespace arena {
namespace {

constexpr Index kDepth = 256;           // summed up in registers at a time
constexpr Index kDepthTransposed = 64;  // the same, where a long b would not stay in cache
constexpr std::size_t kMaxPieces = 8;
constexpr Index kWide = 512;     // rows this far apart use few sets of a cache and are not fetched
                                 // ahead by the machine; as b they are packed, if ...
constexpr Index kManyTiles = 4;  // ... so many tiles read them

/// Some of the inner dimension of one term, with b as vectors, one panel wide.
struct Piece {
  const float* a = nullptr;  // a(0, 0)
  Index a_stride = 0;
  const float* b = nullptr;
  Index b_stride = 0;
  Index depth = 0;
};

/// a(r, t) = row r at t, where rows beyond the last repeat it (their results mean nothing).
template <int kRows>
struct LastRows {
  const float* row[kRows];

  ARENA_INLINE LastRows(const float* data, Index stride, Index count) {
    for (Index r = 0; r < kRows; ++r) row[r] = data + std::min(r, count - 1) * stride;
  }
  ARENA_INLINE float at(int r, Index t) const { return row[r][t]; }
};

/// Memory for what cannot be read or written as it lies.
struct Edges {
  alignas(64) float b[kDepth * kTileLanes];
  alignas(64) float a[kDepthTransposed * kMostRows];
  alignas(64) float to[kMostRows * kTileLanes];
  alignas(64) float bias[kTileLanes];
  alignas(64) float zero[kTileLanes] = {};
};

/// Columns [col, col + cols) of a result, at most kTileLanes.
class Panel {
 public:
  Panel(std::span<const Term> terms, const Start& start, const View& to, Index col, Index cols,
        Edges& edges)
      : terms_(terms), start_(start), to_(to), col_(col), cols_(cols), edges_(edges) {}

  /// All rows, some of the inner dimension at a time.
  void run() {
    if (!start_.bias.empty()) bias_ = bias_lanes();
    rows_ = start_.rows.data();
    rows_stride_ = start_.rows.outerStride();
    for (const Term& term : terms_) {
      if (term.a.transposed != transposed_) flush();
      transposed_ = term.a.transposed;
      const Index limit = transposed_ ? kDepthTransposed : kDepth;
      for (Index first = 0; first < term.a.cols();) {
        const Index count = std::min(term.a.cols() - first, limit - depth_);
        pieces_[num_pieces_++] = piece(term, first, count);
        first += count;
        depth_ += count;
        if (depth_ == limit || num_pieces_ == kMaxPieces) flush();
      }
    }
    flush();
  }

 private:
  /// Adds the pieces to where the sums stand, which is the result from then on.
  void flush() {
    if (num_pieces_ == 0) return;
    with_vectors(cols_,
                 [&]<int Vectors>() { transposed_ ? by_columns<Vectors>() : by_rows<Vectors>(); });
    num_pieces_ = 0;
    depth_ = 0;
    bias_ = nullptr;
    rows_ = to_.data();
    rows_stride_ = to_.outerStride();
  }

  template <int Vectors>
  void by_rows() {
    constexpr int kRows = kRowsFor<Vectors>;
    const Index whole = to_.rows() / kRows * kRows, rest = to_.rows() - whole;
    tiles<Vectors>(whole, [](const Piece& piece, Index row) ARENA_INLINE_LAMBDA {
      return RowTile{piece.a + row * piece.a_stride, piece.a_stride};
    });
    if (rest == 0) return;
    edge_tile<Vectors>(whole, rest, [&](const Piece& piece) ARENA_INLINE_LAMBDA {
      return LastRows<kRows>(piece.a + whole * piece.a_stride, piece.a_stride, rest);
    });
  }

  template <int Vectors>
  void by_columns() {
    constexpr int kRows = kRowsFor<Vectors>;
    const Index whole = to_.rows() / kRows * kRows, rest = to_.rows() - whole;
    tiles<Vectors>(whole, [](const Piece& piece, Index row) ARENA_INLINE_LAMBDA {
      return ColumnOperand{piece.a + row, piece.a_stride};
    });
    if (rest == 0) return;
    edge_tile<Vectors>(whole, rest, [&](const Piece& piece) ARENA_INLINE_LAMBDA {
      return padded<kRows>({piece.a + whole, piece.a_stride}, rest, piece.depth);
    });
  }

  /// Tiles of the first `rows` rows, a multiple of a tile's.
  template <int Vectors, class MakeOperand>
  ARENA_INLINE void tiles(Index rows, const MakeOperand& operand) {
    if (whole_vectors()) return whole_tiles<Vectors>(rows, operand);
    for (Index row = 0; row < rows; row += kRowsFor<Vectors>) {
      edge_tile<Vectors>(row, kRowsFor<Vectors>, [&](const Piece& piece) ARENA_INLINE_LAMBDA {
        return operand(piece, row);
      });
    }
  }

  /// A function of its own, with copies of members (which are read again after each store of a
  /// vector): else tiles of two vectors lose a fifth.
  template <int Vectors, class MakeOperand>
  [[gnu::noinline]] void whole_tiles(Index rows, const MakeOperand& operand) const {
    constexpr int kRows = kRowsFor<Vectors>;
    const float* const bias = rows_ ? bias_ : nullptr;
    const float* const from = rows_ ? rows_ + col_ : bias_ ? bias_ : edges_.zero;
    const Index from_stride = rows_ ? rows_stride_ : 0, to_stride = to_.outerStride();
    float* const to = const_cast<float*>(to_.data()) + col_;
    for (Index row = 0; row < rows; row += kRows) {
      Accumulators<Vectors, kRows> sum;
      sum.load(from + row * from_stride, from_stride);
      if (to_stride >= kWide) fetch(row + 2 * kRows, kRows);
      if (bias) sum.add_row(bias);
      for (std::size_t p = 0; p < num_pieces_; ++p) {
        const Piece& piece = pieces_[p];
        sum.multiply_add(operand(piece, row), piece.b, piece.b_stride, piece.depth);
      }
      sum.store(to + row * to_stride, to_stride);
    }
  }

  /// Starts to load rows of the result, where there are so many.
  void fetch(Index first, Index count) const {
    for (Index i = first; i < std::min(first + count, to_.rows()); ++i) {
      const float* const row = to_.data() + i * to_.outerStride() + col_;
      for (Index c = 0; c < cols_; c += kCacheLine) __builtin_prefetch(row + c, 1, 3);
    }
  }

  /// The bias of these columns, as whole vectors.
  const float* bias_lanes() const {
    const float* const bias = start_.bias.data() + col_;
    if (whole_vectors()) return bias;
    std::fill(std::copy_n(bias, cols_, edges_.bias), edges_.bias + kTileLanes, 0.0F);
    return edges_.bias;
  }

  bool whole_vectors() const { return cols_ % simd::kWidth == 0; }

  /// Steps [first, first + count) of a term; b is packed where it must be.
  Piece piece(const Term& term, Index first, Index count) const {
    const ConstView &a = term.a.matrix, &b = term.b.matrix;
    Piece result{.a = a.data() + first * (term.a.transposed ? a.outerStride() : 1),
                 .a_stride = a.outerStride(),
                 .depth = count};
    const bool far = b.outerStride() >= kWide && to_.rows() >= kManyTiles * kTileRows;
    if (!term.b.transposed && whole_vectors() && !far) {
      result.b = b.data() + first * b.outerStride() + col_;
      result.b_stride = b.outerStride();
      return result;
    }
    float* const packed = edges_.b + depth_ * kTileLanes;
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

  /// `rows` rows of one tile, by way of a copy of the result.
  template <int Vectors, class MakeOperand>
  ARENA_INLINE void edge_tile(Index row, Index rows, const MakeOperand& operand) {
    constexpr int kRows = kRowsFor<Vectors>;
    Accumulators<Vectors, kRows> sum;
    if (rows_) {
      copy_columns(rows_ + row * rows_stride_ + col_, rows_stride_, edges_.to, kTileLanes, rows);
      sum.load(edges_.to, kTileLanes);
      if (bias_) sum.add_row(bias_);
    } else {
      sum.load(bias_ ? bias_ : edges_.zero, 0);
    }
    for (std::size_t p = 0; p < num_pieces_; ++p) {
      const Piece& piece = pieces_[p];
      sum.multiply_add(operand(piece), piece.b, piece.b_stride, piece.depth);
    }
    sum.store(edges_.to, kTileLanes);
    copy_columns(edges_.to, kTileLanes, to_.data() + row * to_.outerStride() + col_,
                 to_.outerStride(), rows);
  }

  void copy_columns(const float* from, Index from_stride, float* to, Index to_stride,
                    Index rows) const {
    for (Index r = 0; r < rows; ++r) std::copy_n(from + r * from_stride, cols_, to + r * to_stride);
  }

  /// A ColumnOperand reads whole tiles: not beyond the matrix.
  template <int kRows>
  ColumnOperand padded(const ColumnOperand& operand, Index rows, Index depth) const {
    for (Index t = 0; t < depth; ++t) {
      float* const to = edges_.a + t * kRows;
      std::fill(std::copy_n(operand.data + t * operand.stride, rows, to), to + kRows, 0.0F);
    }
    return {edges_.a, kRows};
  }

  std::span<const Term> terms_;
  Start start_;
  View to_;
  Index col_, cols_;
  const float* bias_ = nullptr;
  const float* rows_ = nullptr;  // where the sums stand, if not at zero
  Index rows_stride_ = 0;
  Edges& edges_;
  std::array<Piece, kMaxPieces> pieces_{};  // their a's all transposed or all not
  std::size_t num_pieces_ = 0;
  Index depth_ = 0;  // of the pieces
  bool transposed_ = false;
};

}  // namespace

void multiply_on_vectors(std::span<const Term> terms, const Start& start, View to) {
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

}  // namespace arena
