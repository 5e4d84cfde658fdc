#include "tasks/pathfinder/lanczos.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace arena {
namespace {

constexpr double kLobes = 3;
constexpr int kFractionBits = 22;
constexpr std::int64_t kHalf = std::int64_t{1} << (kFractionBits - 1);

double sinc(double u) {
  return u == 0 ? 1 : std::sin(std::numbers::pi * u) / (std::numbers::pi * u);
}

LanczosTaps taps_of(Index in, Index out, Index i) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double centre = (static_cast<double>(i) + 0.5) * scale;
  const auto edge = [&](double offset) {
    return static_cast<Index>(std::trunc(centre + offset + 0.5));
  };
  LanczosTaps taps{.first = std::max(Index{0}, edge(-kLobes * stretch))};
  const Index end = std::min(in, edge(kLobes * stretch));
  std::vector<double> weights;
  double sum = 0;
  for (Index j = taps.first; j < end; ++j) {
    const double u = (static_cast<double>(j) - centre + 0.5) / stretch;
    weights.push_back(u >= -kLobes && u < kLobes ? sinc(u) * sinc(u / kLobes) : 0);
    sum += weights.back();
  }
  for (const double weight : weights) {  // std::round: halves away from zero
    taps.weights.push_back(
        static_cast<std::int32_t>(std::round(std::ldexp(weight / sum, kFractionBits))));
  }
  return taps;
}

}  // namespace

LanczosAxis::LanczosAxis(Index in, Index out) {
  for (Index i = 0; i < out; ++i) taps_.push_back(taps_of(in, out, i));
}

ByteImage LanczosAxis::shrink_rows(const ByteImage& image, Index offset, Index first,
                                   Index count) const {
  ByteImage result(count, image.rows());
  for (Index i = 0; i < count; ++i) {
    const LanczosTaps& taps = taps_[static_cast<std::size_t>(first + i)];
    const Index shift = taps.first - offset;  // column of the image that the first weight meets
    const Index begin = std::max(Index{0}, -shift);
    const Index end = std::min(static_cast<Index>(taps.weights.size()), image.cols() - shift);
    for (Index y = 0; y < image.rows(); ++y) {
      std::int64_t sum = 0;
      for (Index k = begin; k < end; ++k) {
        sum += std::int64_t{taps.weights[static_cast<std::size_t>(k)]} * image.at({y, shift + k});
      }
      result.row(i)[y] = static_cast<std::uint8_t>(
          std::clamp((kHalf + sum) >> kFractionBits, std::int64_t{0}, std::int64_t{255}));
    }
  }
  return result;
}

}  // namespace arena
