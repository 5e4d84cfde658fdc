#include "harness/layers/dropout.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

#include "harness/layers/rows.hpp"
#include "harness/layers/simd.hpp"

namespace arena {
namespace {

constexpr double kSteps = 65536;

}  // namespace

Dropout::Dropout(RandomKey key, double rate, Index width)
    : key_(key),
      threshold_(static_cast<std::uint32_t>(std::lround(rate * kSteps))),
      scale_(static_cast<float>(kSteps / (kSteps - threshold_))),
      width_(width) {}

Dropout::Factors Dropout::factors(Index group) const {
  constexpr std::size_t kBlocks = RandomKey::kBlocksAtOnce;
  const RandomKey::WordPlanes planes =
      key_.word_planes(static_cast<std::uint64_t>(group) * kBlocks);
  const std::uint32_t threshold = threshold_;
  const auto kept = std::bit_cast<std::uint32_t>(scale_);
  std::array<std::uint32_t, kGroup> bits;
  for (std::size_t w = 0; w < planes.size(); ++w) {
    std::uint32_t* const low = bits.data() + 2 * kBlocks * w;
    std::uint32_t* const high = low + kBlocks;
    for (std::size_t b = 0; b < kBlocks; ++b) {
      low[b] = (planes[w][b] & 0xFFFF) < threshold ? 0U : kept;
      high[b] = (planes[w][b] >> 16) < threshold ? 0U : kept;
    }
  }
  return std::bit_cast<Factors>(bits);
}

template <class Body>
void Dropout::for_each_run(Index first_row, Index rows, const Body& body) const {
  Factors current;
  Index current_group = -1;
  for (Index i = 0; i < rows; ++i) {
    const Index begin = (first_row + i) * width_;
    for (Index position = begin; position < begin + width_;) {
      const Index group = position / kGroup;
      if (group != current_group) current = factors(group);
      current_group = group;
      const Index count = std::min(begin + width_, (group + 1) * kGroup) - position;
      body(i, position - begin, count, current.data() + position % kGroup);
      position += count;
    }
  }
}

void Dropout::apply(Index first_row, View x) const {
  if (drops()) copy(first_row, x, x);
}

void Dropout::apply_to_both(Index first_row, View x, View y) const {
  assert(x.cols() == width_ && y.cols() == width_ && x.rows() == y.rows());
  if (!drops()) return;
  for_each_run(first_row, x.rows(), [&](Index i, Index j, Index count, const float* factor) {
    float* const a = x.data() + i * x.outerStride() + j;
    float* const b = y.data() + i * y.outerStride() + j;
    simd::for_vectors(count, [&](Index first, Index lanes) {
      const simd::Vec f = simd::load_part(factor + first, lanes);
      simd::store_part(a + first, f * simd::load_part(a + first, lanes), lanes);
      simd::store_part(b + first, f * simd::load_part(b + first, lanes), lanes);
    });
  });
}

void Dropout::copy(Index first_row, ConstView x, View y) const {
  assert(x.cols() == width_ && y.cols() == width_ && x.rows() == y.rows());
  if (!drops()) {
    copy_rows(x, y);
    return;
  }
  for_each_run(first_row, x.rows(), [&](Index i, Index j, Index count, const float* factor) {
    const float* const from = x.data() + i * x.outerStride() + j;
    float* const to = y.data() + i * y.outerStride() + j;
    simd::for_vectors(count, [&](Index first, Index lanes) {
      const simd::Vec f = simd::load_part(factor + first, lanes);
      simd::store_part(to + first, f * simd::load_part(from + first, lanes), lanes);
    });
  });
}

void Dropout::add(Index first_row, ConstView x, ConstView residual, View y) const {
  assert(x.cols() == width_ && y.cols() == width_ && x.rows() == y.rows());
  if (!drops()) {
    for (Index i = 0; i < x.rows(); ++i) y.row(i) = residual.row(i) + x.row(i);
    return;
  }
  for_each_run(first_row, x.rows(), [&](Index i, Index j, Index count, const float* factor) {
    const float* const from = x.data() + i * x.outerStride() + j;
    const float* const start = residual.data() + i * residual.outerStride() + j;
    float* const to = y.data() + i * y.outerStride() + j;
    simd::for_vectors(count, [&](Index first, Index lanes) {
      const simd::Vec f = simd::load_part(factor + first, lanes);
      const simd::Vec sum =
          f * simd::load_part(from + first, lanes) + simd::load_part(start + first, lanes);
      simd::store_part(to + first, sum, lanes);
    });
  });
}

}  // namespace arena
