#pragma once
// Softmax cross-entropy of rows of logits.

#include <cstdint>
#include <span>

#include "harness/core/matrix.hpp"

namespace arena {

struct LossSum {
  double loss = 0;    // sum over rows of -log probability of the label, unscaled
  Index correct = 0;  // rows whose largest logit (the first of equals) is the label's
};

/// logits [rows, classes] become scale * (softmax - one_hot(label)), the gradient of scale * loss.
/// `right`, if not empty, gets 1 or 0 for each row.
LossSum cross_entropy(View logits, std::span<const std::int32_t> labels, float scale,
                      std::span<std::uint8_t> right);

}  // namespace arena
