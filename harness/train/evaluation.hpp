#pragma once
// Scores a model on a split, sample by sample in parallel; the result does not depend on threads
// or order.

#include <algorithm>
#include <string>

#include "harness/model/model.hpp"
#include "tasks/task.hpp"

namespace arena {

struct Evaluation {
  double loss = 0;                     // mean cross-entropy over scored labels
  double accuracy = 0;                 // share of scored labels that are right
  double whole_accuracy = 0;           // share of samples of which every scored label is right
  double forced_accuracy = 0;          // accuracy of each label given the right ones before it
  std::vector<std::uint8_t> right{};   // 1 or 0 per scored label, in order of samples and positions
  std::vector<std::uint8_t> starts{};  // beside it: 1 at the first scored label of a sample

  Index scored() const { return static_cast<Index>(right.size()); }
  /// Samples with a scored label.
  Index sequences() const { return std::ranges::count(starts, 1); }
};

/// Scores the first `count` samples of a split. What is random in a variant's evaluation depends on
/// (seed, split, sample) only. Where the answer is a sequence the model writes it by itself: a
/// label is right if the token at its place is, and the loss is that of teacher forcing.
Evaluation evaluate(const Model& model, const ModelValues& values, const Task& task, Split split,
                    Index count, std::uint64_t seed, const Team& team);

/// Bits as hexadecimal digits; the first is the highest bit of the first digit, the last digit is
/// filled up with zeros.
std::string bitmap_text(std::span<const std::uint8_t> bits);

}  // namespace arena
