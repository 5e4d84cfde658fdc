#include "harness/layers/dropout.hpp"

#include <algorithm>
#include <cmath>

namespace arena {
namespace {

constexpr Index kPerBlock = 8;
constexpr double kSteps = 65536;

}  // namespace

Dropout::Dropout(RandomKey key, double rate, Index width)
    : key_(key),
      threshold_(static_cast<std::uint32_t>(std::lround(rate * kSteps))),
      scale_(static_cast<float>(kSteps / (kSteps - threshold_))),
      blocks_per_row_((width + kPerBlock - 1) / kPerBlock) {}

void Dropout::apply(Index first_row, View x) const {
  if (threshold_ == 0) return;
  for (Index i = 0; i < x.rows(); ++i) {
    float* const row = x.row(i).data();
    for (Index b = 0; b < blocks_per_row_; ++b) {
      const auto words =
          key_.words(static_cast<std::uint64_t>((first_row + i) * blocks_per_row_ + b));
      const Index count = std::min(kPerBlock, x.cols() - b * kPerBlock);
      for (Index j = 0; j < count; ++j) {
        const std::uint32_t half =
            words[static_cast<std::size_t>(j / 2)] >> (16 * (j % 2)) & 0xFFFF;
        row[b * kPerBlock + j] *= half < threshold_ ? 0.0F : scale_;
      }
    }
  }
}

}  // namespace arena
