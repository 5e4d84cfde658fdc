#include "harness/bench/gradient_probe.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "harness/core/random.hpp"

namespace arena {
namespace {

constexpr std::uint64_t kDirectionSeed = 3;
/// Of each element: small, since along a gradient the changes of thousands of elements add up. What
/// float makes of it is taken into account exactly.
constexpr float kStep = 1e-4F;
constexpr double kHardlyMatters = 1e-3;

Matrix direction_of(const ProbedTensor& tensor, std::uint64_t index) {
  Matrix direction(tensor.value.rows(), tensor.value.cols());
  fill_uniform(RandomKey(kDirectionSeed).fold(Purpose::kBench).fold(index), kStep, direction);
  const float largest = tensor.gradient.empty() ? 0 : tensor.gradient.cwiseAbs().maxCoeff();
  if (largest > 0) direction += tensor.gradient * (kStep / largest);
  return direction;
}

double effect_of(const ProbedTensor& tensor, const MatrixD& step) {
  return tensor.gradient.cast<double>().cwiseProduct(step).sum();
}

/// Scales directions to the effect of the tensor that matters least.
void equalise(std::span<const ProbedTensor> tensors, std::vector<Matrix>& directions) {
  std::vector<double> effects;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (directions[i].size() == 0) continue;
    effects.push_back(std::abs(effect_of(tensors[i], directions[i].cast<double>())));
  }
  if (effects.empty()) return;
  const auto [least, most] = std::ranges::minmax(effects);
  const double common = std::max(least, kHardlyMatters * most);
  for (std::size_t i = 0, used = 0; i < tensors.size(); ++i) {
    if (directions[i].size() == 0) continue;
    const double effect = effects[used++];
    if (effect > common) directions[i] *= static_cast<float>(common / effect);
  }
}

struct Change {
  double expected = 0;
  double measured = 0;

  double size() const { return std::max(std::abs(expected), std::abs(measured)); }
};

}  // namespace

double directional_error(std::span<const ProbedTensor> tensors,
                         const std::function<double(std::span<const Matrix>)>& loss, Moved moved) {
  std::vector<Matrix> values, directions;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    values.emplace_back(tensors[i].value);
    directions.push_back(direction_of(tensors[i], i));
  }
  const bool together = moved == Moved::kTogether;
  if (together) equalise(tensors, directions);
  const std::size_t at_once = together ? tensors.size() : 1;
  std::vector<Change> changes;
  for (std::size_t first = 0; first < tensors.size(); first += at_once) {
    std::vector<Matrix> above = values, below = values;
    Change& change = changes.emplace_back();
    for (std::size_t i = first; i < first + at_once; ++i) {
      above[i] += directions[i];
      below[i] -= directions[i];
      // The step that was made, after rounding to float.
      const MatrixD step = above[i].cast<double>() - below[i].cast<double>();
      change.expected += effect_of(tensors[i], step);
    }
    change.measured = loss(above) - loss(below);
  }
  double largest = 0;
  for (const Change& change : changes) largest = std::max(largest, change.size());
  double error = 0;
  for (const Change& change : changes) {
    const double size = std::max(change.size(), kHardlyMatters * largest);
    const double difference = std::abs(change.expected - change.measured);
    if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
    if (size > 0) error = std::max(error, difference / size);
  }
  return error;
}

}  // namespace arena
