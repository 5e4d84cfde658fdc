#include "harness/gradient_probe.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "harness/core/random.hpp"

namespace arena {
namespace {

constexpr std::uint64_t kDirectionSeed = 3;
/// Of each element. The difference is exact to its square (values and scores are of size 1), and
/// the loss is summed in double.
constexpr float kStep = 1e-3F;

Matrix direction_of(const ProbedTensor& tensor, std::uint64_t index) {
  Matrix direction(tensor.value.rows(), tensor.value.cols());
  fill_uniform(RandomKey(kDirectionSeed).fold(Purpose::kBench).fold(index), kStep, direction);
  const float largest = tensor.gradient.empty() ? 0 : tensor.gradient.cwiseAbs().maxCoeff();
  if (largest > 0) direction += tensor.gradient * (kStep / largest);
  return direction;
}

}  // namespace

double directional_error(std::span<const ProbedTensor> tensors,
                         const std::function<double(std::span<const Matrix>)>& loss) {
  std::vector<Matrix> above, below;
  double expected = 0;
  for (const ProbedTensor& tensor : tensors) {
    const Matrix direction = direction_of(tensor, above.size());
    above.push_back(tensor.value + direction);
    below.push_back(tensor.value - direction);
    // The step that was made, after rounding to float.
    const MatrixD step = above.back().cast<double>() - below.back().cast<double>();
    expected += tensor.gradient.cast<double>().cwiseProduct(step).sum();
  }
  const double measured = loss(above) - loss(below);
  const double size = std::max(std::abs(expected), std::abs(measured));
  return size == 0 ? 0 : std::abs(expected - measured) / size;
}

}  // namespace arena
