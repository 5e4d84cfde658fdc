#include "harness/layers/dropout.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

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

void Dropout::apply(Index first_row, View x) const {
  assert(x.cols() == width_);
  if (threshold_ == 0) return;
  Factors current;
  Index current_group = -1;
  for (Index i = 0; i < x.rows(); ++i) {
    float* value = x.row(i).data();
    Index position = (first_row + i) * width_;
    for (const Index end = position + width_; position < end;) {
      const Index group = position / kGroup;
      if (group != current_group) current = factors(group);
      current_group = group;
      const Index count = std::min(end, (group + 1) * kGroup) - position;
      const float* const factor = current.data() + position % kGroup;
      for (Index j = 0; j < count; ++j) value[j] *= factor[j];
      value += count;
      position += count;
    }
  }
}

}  // namespace arena
