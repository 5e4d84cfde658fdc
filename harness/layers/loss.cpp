#include "harness/layers/loss.hpp"

#include <cmath>

namespace arena {

LossSum cross_entropy(View logits, std::span<const std::int32_t> labels, float scale,
                      std::span<std::uint8_t> right) {
  LossSum sum;
  for (Index i = 0; i < logits.rows(); ++i) {
    auto row = logits.row(i).array();
    const Index label = labels[static_cast<std::size_t>(i)];
    Index best = 0;
    const float row_max = row.maxCoeff(&best);
    const float label_logit = row(label);
    row = (row - row_max).exp();
    const float total = row.sum();
    sum.loss += std::log(static_cast<double>(total)) + row_max - label_logit;
    const bool hit = best == label;
    sum.correct += hit ? 1 : 0;
    if (!right.empty()) right[static_cast<std::size_t>(i)] = hit ? 1 : 0;
    row *= scale / total;
    row(label) -= scale;
  }
  return sum;
}

}  // namespace arena
