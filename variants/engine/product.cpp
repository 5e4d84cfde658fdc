#include "variants/engine/product.hpp"

#include "harness/layers/micro_kernel.hpp"

namespace arena {
namespace {

constexpr Index kRowBlock = 64 / kTileRows * kTileRows;
constexpr Index kPanels = std::max(Index{1}, 64 / kTileLanes);
constexpr Index kColBlock = kPanels * kTileLanes;
constexpr Index kDepthBlock = 128;

Index blocks(Index count, Index block) {
  return (count + block - 1) / block;
}

/// One block of the result, computed depth block by depth block with b packed into panels.
class ProductBlock {
 public:
  ProductBlock(Workspace& workspace, const Factor& a, const Factor& b, const View& to)
      : a_(a), b_(b), to_(to) {
    panels_ = workspace.take<float>(kDepthBlock * kColBlock).data();
    a_edge_ = workspace.take<float>(kDepthBlock * kTileRows).data();
    to_edge_ = workspace.take<float>(kTileRows * kTileLanes).data();
  }

  static Index scratch() {
    return stored_bytes<float>(kDepthBlock * kColBlock) +
           stored_bytes<float>(kDepthBlock * kTileRows) +
           stored_bytes<float>(kTileRows * kTileLanes);
  }

  void run(Index row, Index col, Store store) {
    const Index rows = std::min(kRowBlock, to_.rows() - row);
    const Index cols = std::min(kColBlock, to_.cols() - col);
    for (Index depth = 0; depth < a_.cols(); depth += kDepthBlock) {
      depth_ = {depth, std::min(kDepthBlock, a_.cols() - depth)};
      const bool add = depth > 0 || store == Store::kAdd;
      for (Index panel = 0; panel < cols; panel += kTileLanes) {
        const Index count = std::min(kTileLanes, cols - panel);
        float* const packed = panels_ + panel * kDepthBlock;
        pack(col + panel, count, packed);
        for (Index r = 0; r < rows; r += kTileRows) {
          tile(row + r, std::min<Index>(kTileRows, rows - r), col + panel, count, packed, add);
        }
      }
    }
  }

 private:
  struct Depth {
    Index first = 0, count = 0;
  };

  /// packed[t][:] = b(depth + t, col + :), kTileLanes wide, zero beyond `count` columns.
  void pack(Index col, Index count, float* packed) const {
    const ConstView& b = b_.matrix;
    if (b_.transposed) {
      pack_transposed(b.column_slice(depth_.first, depth_.count), col, count, 1, packed);
      return;
    }
    for (Index t = 0; t < depth_.count; ++t) {
      const float* const row = b.data() + (depth_.first + t) * b.outerStride() + col;
      std::copy_n(row, count, packed + t * kTileLanes);
      std::fill(packed + t * kTileLanes + count, packed + (t + 1) * kTileLanes, 0.0F);
    }
  }

  void tile(Index row, Index rows, Index col, Index cols, const float* packed, bool add) {
    const ConstView& a = a_.matrix;
    const Index stride = a.outerStride();
    if (!a_.transposed) {
      const float* const data = a.data() + row * stride + depth_.first;
      store_tile(RowOperand(data, stride, rows), row, rows, col, cols, packed, add);
      return;
    }
    ColumnOperand operand{a.data() + depth_.first * stride + row, stride};
    if (rows < kTileRows) {  // never read beyond the matrix
      for (Index t = 0; t < depth_.count; ++t) {
        std::copy_n(operand.data + t * stride, rows, a_edge_ + t * kTileRows);
        std::fill(a_edge_ + t * kTileRows + rows, a_edge_ + (t + 1) * kTileRows, 0.0F);
      }
      operand = {a_edge_, kTileRows};
    }
    store_tile(operand, row, rows, col, cols, packed, add);
  }

  template <class Operand>
  void store_tile(const Operand& operand, Index row, Index rows, Index col, Index cols,
                  const float* packed, bool add) {
    Accumulators<> sum;
    sum.clear();
    sum.multiply_add(operand, packed, kTileLanes, depth_.count);
    float* const place = to_.data() + row * to_.outerStride() + col;
    if (cols == kTileLanes && add) {
      sum.add_to(place, to_.outerStride(), rows);
      return;
    }
    sum.store(to_edge_, kTileLanes);
    for (Index r = 0; r < rows; ++r) {
      float* const to = place + r * to_.outerStride();
      const float* const from = to_edge_ + r * kTileLanes;
      for (Index c = 0; c < cols; ++c) to[c] = add ? to[c] + from[c] : from[c];
    }
  }

  Factor a_, b_;
  View to_;
  Depth depth_{};
  float* panels_;   // [panel][kDepthBlock][kTileLanes]
  float* a_edge_;   // [kDepthBlock][kTileRows]
  float* to_edge_;  // [kTileRows][kTileLanes]
};

}  // namespace

void multiply(const Team& team, const Factor& a, const Factor& b, View to, Store store) {
  assert(a.cols() == b.rows() && a.rows() == to.rows() && b.cols() == to.cols());
  const Index row_blocks = blocks(to.rows(), kRowBlock), col_blocks = blocks(to.cols(), kColBlock);
  team.for_each(row_blocks * col_blocks, [&](Index i, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    ProductBlock block(worker.workspace(), a, b, to);
    block.run(i / col_blocks * kRowBlock, i % col_blocks * kColBlock, store);
  });
}

Index multiply_scratch() {
  return ProductBlock::scratch();
}

}  // namespace arena
