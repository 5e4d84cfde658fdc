#include "variants/engine/sequence_convolution.hpp"

#include <algorithm>

#include "harness/layers/product.hpp"

namespace arena {
namespace {

constexpr Index kRows = 8;      // of a block of the result: a wider band would hold more zeros
constexpr Index kDotRows = 32;  // where packing, not zeros, is what costs
constexpr Index kPiece = 512;   // rows whose gradient of the kernel is summed by one worker

Index pieces(Index len) {
  return (len + kPiece - 1) / kPiece;
}

/// Rows [first, first + count) of a sequence, as far as it goes, and how many columns of the band
/// lie before its start.
struct Neighbours {
  Index begin, count, skipped;

  Neighbours(Index row, Index rows, Index before, Index after, Index len)
      : begin(std::max(Index{0}, row - before)),
        count(std::min(len, row + rows + after) - begin),
        skipped(begin - (row - before)) {}
};

/// band(r, r + c) = kernel_c, or with the kernel from its end to its start.
void fill_band(const ConstView& kernel, bool reversed, View band) {
  const Index size = kernel.cols();
  band.setZero();
  for (Index r = 0; r < band.rows(); ++r) {
    for (Index c = 0; c < size; ++c) band(r, r + c) = kernel(0, reversed ? size - 1 - c : c);
  }
}

/// y_i += sum of kernel_c x_{i + c - before}.
void add_products(const Team& team, const ConstView& x, const ConstView& kernel, bool reversed,
                  View y) {
  const Index len = x.rows(), size = kernel.cols();
  const Index before = reversed ? size - 1 - (size - 1) / 2 : (size - 1) / 2;
  const WorkspaceScope scope(team.workspace());
  const View band = team.workspace().matrix(kRows, kRows + size - 1);
  fill_band(kernel, reversed, band);
  team.for_each((len + kRows - 1) / kRows, [&](Index block, const Team&) {
    const Index row = block * kRows, rows = std::min(kRows, len - row);
    const Neighbours near(row, rows, before, size - 1 - before, len);
    multiply(ConstView(band).row_slice(0, rows).column_slice(near.skipped, near.count),
             x.row_slice(near.begin, near.count), y.row_slice(row, rows), Output::kAdd);
  });
}

}  // namespace

void add_convolution(const Team& team, const ConstView& x, const ConstView& kernel, View y) {
  add_products(team, x, kernel, false, y);
}

void add_convolution_input_gradient(const Team& team, const ConstView& d_y, const ConstView& kernel,
                                    View d_x) {
  add_products(team, d_y, kernel, true, d_x);
}

void add_convolution_kernel_gradient(const Team& team, const ConstView& x, const ConstView& d_y,
                                     const ConstView& kernel, View d_kernel, View row_dots) {
  const Index len = x.rows(), size = kernel.cols(), before = (size - 1) / 2;
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  View parts = workspace.matrix(pieces(len), size);
  parts.setZero();
  team.for_each(parts.rows(), [&](Index piece, const Team& worker) {
    const WorkspaceScope piece_scope(worker.workspace());
    View space = worker.workspace().matrix(kDotRows, kDotRows + size - 1);
    const Index end = std::min(len, (piece + 1) * kPiece);
    for (Index row = piece * kPiece; row < end; row += kDotRows) {
      const Index rows = std::min(kDotRows, end - row);
      const Neighbours near(row, rows, before, size - 1 - before, len);
      space.setZero();
      multiply(d_y.row_slice(row, rows), transpose(x.row_slice(near.begin, near.count)),
               space.row_slice(0, rows).column_slice(near.skipped, near.count), Output::kOverwrite);
      for (Index r = 0; r < rows; ++r) {
        const auto dots = space.row(r).segment(r, size);
        parts.row(piece) += dots;
        if (!row_dots.empty()) row_dots(row + r, 0) = dots.dot(kernel.row(0));
      }
    }
  });
  for (Index piece = 0; piece < parts.rows(); ++piece) d_kernel.row(0) += parts.row(piece);
}

ConvolutionScratch convolution_scratch(Index len, Index size, Index workers) {
  if (size == 0) return {};
  const Index band = stored_bytes<float>(kRows * (kRows + size - 1));
  const Index parts = stored_bytes<float>(pieces(len) * size);
  const Index dots = stored_bytes<float>(kDotRows * (kDotRows + size - 1));
  const Index busy = pieces(len) < workers ? 1 : workers;
  return {std::max(band, parts + dots), std::max(band, parts + busy * dots)};
}

double convolution_flops(Index len, Index size, Index width) {
  return 2 * static_cast<double>(len * size * width);
}

}  // namespace arena
