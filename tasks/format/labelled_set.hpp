#pragma once
// Data sets of labelled examples: splits, a validation part where there is none, what is missing.

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tasks/task.hpp"

namespace arena {

/// Examples have an integer `label` from 0 on.
template <class Example>
struct LabelledSet {
  std::vector<Example> train{}, validation{}, test{};

  const std::vector<Example>& of(Split split) const {
    return split == Split::kTrain ? train : split == Split::kValidation ? validation : test;
  }
  Index size(Split split) const { return static_cast<Index>(of(split).size()); }
  const Example& at(Split split, Index index) const {
    return of(split)[static_cast<std::size_t>(index)];
  }
  /// The best constant on the test split.
  Baseline majority() const {
    std::vector<Index> counts;
    for (const Example& example : test) {
      const auto label = static_cast<std::size_t>(example.label);
      counts.resize(std::max(counts.size(), label + 1));
      ++counts[label];
    }
    return {"majority",
            static_cast<double>(std::ranges::max(counts)) / static_cast<double>(test.size())};
  }
};

/// Which examples of a training set become its validation part, by their hashes and classes: of
/// each class the tenth (rounded up) with the smallest hashes, and every copy of what is in there,
/// of whatever class. A function of the contents, not of their order.
std::vector<bool> held_out(std::span<const std::uint64_t> hashes,
                           std::span<const std::int32_t> labels);

/// A set without a validation part gets one from `train`; examples have a `content_hash` too.
template <class Example>
LabelledSet<Example> with_validation(std::vector<Example> train, std::vector<Example> test) {
  std::vector<std::uint64_t> hashes;
  std::vector<std::int32_t> labels;
  for (const Example& example : train) {
    hashes.push_back(example.content_hash);
    labels.push_back(example.label);
  }
  const std::vector<bool> held = held_out(hashes, labels);
  LabelledSet<Example> set{.test = std::move(test)};
  for (std::size_t i = 0; i < train.size(); ++i) {
    (held[i] ? set.validation : set.train).push_back(std::move(train[i]));
  }
  return set;
}

/// Number of examples of one part, as found and in the official data set.
struct PartCount {
  std::string part;  // "test reviews"
  Index found = 0, official = 0;
};

/// Whether some part has fewer examples than the official set. Throws Error naming `place` where
/// one has more, and with Failure::kNoData where one has none and, unless `accepted`, on a subset.
bool is_subset(const std::string& task, const std::string& place, std::span<const PartCount> parts,
               bool accepted);

/// The option "partial" of tasks that read a data set.
OptionSpec partial_option();

}  // namespace arena
