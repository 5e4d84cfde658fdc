#pragma once
// Why a training counts as not learned.

#include <optional>
#include <span>
#include <string>

#include "harness/model/model.hpp"
#include "harness/train/evaluation.hpp"
#include "tasks/task.hpp"

namespace arena {

/// "" when the accuracy is above the best constant predictor's by 3 standard errors; else those
/// numbers, as a sentence without its full stop.
std::string why_not_learned(const Evaluation& evaluation, const Baseline& constant);

/// From how many positions something gets to one of `targets` in `layers` layers along the edges,
/// beside what residuals keep.
struct Reach {
  Index least = 0, most = 0;

  bool operator==(const Reach&) const = default;
};
Reach reach(const Edges& edges, Index layers, std::span<const Index> targets);

/// How many positions of the sample a scored one cannot get anything from in a model of these
/// options, because of the variant's pattern; "" where it gets something from all, or the variant
/// has no fixed pattern.
std::string why_out_of_reach(const ChosenVariant& chosen, const Setup& setup, const Sample& sample);

}  // namespace arena
