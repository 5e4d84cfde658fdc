#include "harness/layers/matrix_product.hpp"

#include <algorithm>
#include <array>

#include "harness/layers/matrix_unit.hpp"

namespace arena::matrix_unit {
namespace {

/// A result narrower, shorter or shallower than this pays more for packing than it gains.
constexpr Index kLeast = 32;

bool takes(Index rows, Index depth, Index cols) {
  return std::min({rows, depth, cols}) >= kLeast && available();
}

#ifdef ARENA_HAS_MATRIX_UNIT

constexpr Index kMostChunks = 8;        // of the inner dimension at a time
constexpr Index kMostTransposed = 2;    // the same, where all is packed for few sums
constexpr Index kWeft = 2;              // rows of a chunk packed beside a product of parts
constexpr Index kMostRightPanels = 32;  // right operands packed at a time, in chunks

/// 32 columns of a right factor, `depth` <= 32 of its inner dimension.
void pack_right_chunk(const Factor& b, Index col, Index first, Index depth, Panel* to) {
  const float* const data = b.matrix.data();
  const Index stride = b.matrix.outerStride(), cols = std::min(kBlock, b.cols() - col);
  if (b.transposed) {
    pack_right_transposed<kExact>({data + col * stride + first, stride, cols, depth}, 1, to);
  } else {
    pack_right<kExact>({data + first * stride + col, stride, depth, cols}, to);
  }
}

/// 32 columns of a result.
struct Column {
  const Product* product;
  Index first;

  Index size() const { return std::min(kBlock, product->to.cols() - first); }
};

/// Some of the inner dimension of a term, at most 32.
struct Chunk {
  const Term* term;
  Index first, depth;
};

/// 32 rows of left factors as panels.
class Strip {
 public:
  /// Rows [row, row + 32) of all chunks.
  void begin(std::span<const Chunk> chunks, Index row) {
    chunks_ = chunks;
    row_ = row;
    next_ = 0;
    weaves_ = !chunks.empty() && !chunks[0].term->a.transposed &&
              row + kBlock <= chunks[0].term->a.matrix.rows() &&
              std::ranges::all_of(chunks, [](const Chunk& c) { return c.depth == kBlock; });
  }
  /// How many rows of chunks pack_rows() can take.
  Index rows() const { return weaves_ ? static_cast<Index>(chunks_.size()) * kBlock : 0; }

  /// Packs the next `count` rows of chunks unless all are; kWeft at a time or twice as many.
  ARENA_INLINE void pack_rows(Index count) {
    if (next_ == rows()) return;
    const auto& [term, first, depth] = chunks_[static_cast<std::size_t>(next_ / kBlock)];
    const ConstView& m = term->a.matrix;
    const float* row = m.data() + (row_ + next_ % kBlock) * m.outerStride() + first;
    Panel* const to = panels_[next_ / kBlock];
    const Index begin = next_ % kBlock, end = begin + count, stride = m.outerStride();
    next_ += count;
    for (Index i = begin; i < end; ++i, row += stride) pack_left_row<kExact>(row, to, i);
  }

  /// Packs what is left.
  void finish() {
    while (next_ < rows()) pack_rows(kWeft);
    if (weaves_) return;
    for (std::size_t k = 0; k < chunks_.size(); ++k) {
      const auto& [term, first, depth] = chunks_[k];
      const ConstView& m = term->a.matrix;
      const Index stride = m.outerStride(), rows = std::min(kBlock, term->a.rows() - row_);
      if (term->a.transposed) {
        pack_left_transposed<kExact>({m.data() + first * stride + row_, stride, depth, rows},
                                     panels_[k]);
      } else {
        pack_left<kExact>({m.data() + row_ * stride + first, stride, rows, depth}, panels_[k]);
      }
    }
  }
  const Panel* panels() const { return panels_[0]; }

 private:
  std::span<const Chunk> chunks_;
  Index row_ = 0, next_ = 0;
  bool weaves_ = false;
  Panel panels_[kMostChunks][kExact];
};

/// One run over results; `terms` are the left factors, with the right ones of a single result.
class Run {
 public:
  Run(std::span<const Term> terms, std::span<const Product> products)
      : terms_(terms), products_(products) {}

  void run() {
    const Session session;
    for (const Term& term : terms_) {
      if (num_chunks_ > 0 && term.a.transposed != chunks_[0].term->a.transposed) flush();
      for (Index first = 0; first < term.a.cols(); first += kBlock) {
        chunks_[num_chunks_++] = {&term, first, std::min(kBlock, term.a.cols() - first)};
        if (num_chunks_ == (term.a.transposed ? kMostTransposed : kMostChunks)) flush();
      }
    }
    flush();
  }

 private:
  /// Adds the chunks to all results.
  void flush() {
    if (num_chunks_ == 0) return;
    const Index most = kMostRightPanels / num_chunks_;
    for (const Product& product : products_) {
      for (Index col = 0; col < product.to.cols(); col += kBlock) {
        columns_[num_columns_++] = {&product, col};
        if (num_columns_ == most) multiply_columns();
      }
    }
    multiply_columns();
    num_chunks_ = 0;
    started_ = true;
  }

  void multiply_columns() {
    for (Index c = 0; c < num_columns_; ++c) {
      const Column& column = columns_[c];
      for (Index k = 0; k < num_chunks_; ++k) {
        const auto& [term, first, depth] = chunks_[k];
        pack_right_chunk(products_.size() == 1 ? term->b : column.product->b, column.first, first,
                         depth, right_[c * num_chunks_ + k]);
      }
    }
    const Index rows = products_.front().to.rows();
    const std::span<const Chunk> chunks(chunks_.data(), static_cast<std::size_t>(num_chunks_));
    strips_[0].begin(chunks, 0);
    for (Index row = 0, s = 0; row < rows; row += kBlock) {
      Strip& strip = strips_[s];
      strip.finish();
      // Two strips only where they are woven: one stays in the first cache.
      s ^= strip.rows() > 0 ? 1 : 0;
      Strip& next = strips_[s];
      next.begin(row + kBlock < rows ? chunks : chunks.first(0), row + kBlock);
      const Index groups = num_columns_ * num_chunks_ * kProducts<kExact>;
      const Index at_once = next.rows() > kWeft * groups ? 2 * kWeft : kWeft;
      for (Index c = 0; c < num_columns_; ++c) {
        multiply_block(columns_[c], row, std::min(kBlock, rows - row), strip.panels(),
                       right_[c * num_chunks_], next, at_once);
      }
    }
    num_columns_ = 0;
  }

  void multiply_block(const Column& column, Index row, Index rows, const Panel* left,
                      const Panel* right, Strip& next, Index at_once) {
    View to = column.product->to;
    const bool whole = rows == kBlock && column.size() == kBlock;
    float* const at = to.data() + row * to.outerStride() + column.first;
    whole ? begin(column, row, at) : begin_edge(column, row, rows);
    Sums::multiply_add<kExact>(left, right, num_chunks_,
                               [&]() ARENA_INLINE_LAMBDA { next.pack_rows(at_once); });
    if (whole) {
      Sums::store(at, to.outerStride());
    } else {
      Sums::store(edge_, kBlock);
      copy(edge_, kBlock, rows, column.size(), at, to.outerStride());
    }
  }

  /// Loads what the sums start at.
  void begin(const Column& column, Index row, float* at) const {
    const Start& start = column.product->start;
    const Index stride = column.product->to.outerStride();
    if (started_) return Sums::load(at, stride);
    const float* const bias = start.bias.empty() ? nullptr : start.bias.data() + column.first;
    if (start.rows.empty()) return bias ? Sums::load(bias, 0) : Sums::clear();
    const float* const from = start.rows.data() + row * start.rows.outerStride() + column.first;
    if (!bias) return Sums::load(from, start.rows.outerStride());
    for (Index r = 0; r < kBlock; ++r) {
      for (Index c = 0; c < kBlock; c += simd::kWidth) {
        simd::store(at + r * stride + c,
                    simd::load(from + r * start.rows.outerStride() + c) + simd::load(bias + c));
      }
    }
    Sums::load(at, stride);
  }

  /// The same, by way of a copy, zeros beyond.
  void begin_edge(const Column& column, Index row, Index rows) {
    const Start& start = column.product->start;
    const ConstView from = started_ ? ConstView(column.product->to) : start.rows;
    std::fill_n(edge_, kBlock * kBlock, 0.0F);
    if (!from.empty()) {
      copy(from.data() + row * from.outerStride() + column.first, from.outerStride(), rows,
           column.size(), edge_, kBlock);
    }
    if (!started_ && !start.bias.empty()) {
      for (Index r = 0; r < rows; ++r) {
        for (Index c = 0; c < column.size(); ++c) {
          edge_[r * kBlock + c] += start.bias(0, column.first + c);
        }
      }
    }
    Sums::load(edge_, kBlock);
  }

  static void copy(const float* from, Index from_stride, Index rows, Index cols, float* to,
                   Index to_stride) {
    for (Index r = 0; r < rows; ++r) std::copy_n(from + r * from_stride, cols, to + r * to_stride);
  }

  std::span<const Term> terms_;
  std::span<const Product> products_;
  bool started_ = false;  // the results hold the sums of earlier chunks
  std::array<Chunk, kMostChunks> chunks_;
  Index num_chunks_ = 0;
  std::array<Column, kMostRightPanels> columns_;
  Index num_columns_ = 0;
  Strip strips_[2];
  Panel right_[kMostRightPanels][kExact];
  alignas(64) float edge_[kBlock * kBlock];
};

#endif

}  // namespace

bool takes(std::span<const Term> terms, const View& to) {
  return std::ranges::all_of(
      terms, [&](const Term& term) { return takes(to.rows(), term.a.cols(), to.cols()); });
}

bool takes(const Factor& a, std::span<const Product> products) {
  return std::ranges::all_of(products, [&](const Product& product) {
    return takes(a.rows(), a.cols(), product.to.cols());
  });
}

#ifdef ARENA_HAS_MATRIX_UNIT

void multiply(std::span<const Term> terms, const Start& start, View to) {
  const Product product{terms.front().b, start, to};
  Run(terms, std::span(&product, 1)).run();
}

void multiply(const Factor& a, std::span<const Product> products) {
  const Term term{a, products.front().b};
  Run(std::span(&term, 1), products).run();
}

#endif

}  // namespace arena::matrix_unit
