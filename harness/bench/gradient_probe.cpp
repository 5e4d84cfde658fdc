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

struct Change {
  double expected = 0;
  double measured = 0;

  double size() const { return std::max(std::abs(expected), std::abs(measured)); }
};

}  // namespace

double directional_error(std::span<const ProbedTensor> tensors,
                         const std::function<double(std::span<const Matrix>)>& loss) {
  std::vector<Matrix> values;
  for (const ProbedTensor& tensor : tensors) values.emplace_back(tensor.value);
  std::vector<Change> changes;
  double largest = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Matrix direction = direction_of(tensors[i], i);
    values[i] = tensors[i].value + direction;
    const MatrixD above = values[i].cast<double>();
    const double loss_above = loss(values);
    values[i] = tensors[i].value - direction;
    // The step that was made, after rounding to float.
    const MatrixD step = above - values[i].cast<double>();
    const double expected = tensors[i].gradient.cast<double>().cwiseProduct(step).sum();
    changes.push_back({expected, loss_above - loss(values)});
    values[i] = tensors[i].value;
    largest = std::max(largest, changes.back().size());
  }
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
