#include "harness/train/evaluation.hpp"

#include <algorithm>

namespace arena {
namespace {

/// Stands where training keys have the step.
constexpr std::uint64_t kEvaluationStep = ~std::uint64_t{0};

struct SampleResult {
  double loss = 0;
  Index forced_correct = 0;
  std::vector<std::uint8_t> right;
};

/// In place of what was right given the right tokens before: what is right in the model's own
/// sequence. It has all of the target only if it also ends where the target does.
void score_writing(const Model& model, const Call& call, const Sample& sample,
                   const ModelValues& values, std::span<std::uint8_t> right) {
  std::vector<std::int32_t> written(sample.labels.size());
  const auto count = static_cast<std::size_t>(model.write(call, sample, values, written));
  for (std::size_t i = 0; i < right.size(); ++i) {
    right[i] = i < count && written[i] == sample.labels[i] ? 1 : 0;
  }
}

}  // namespace

Evaluation evaluate(const Model& model, const ModelValues& values, const Task& task, Split split,
                    Index count, std::uint64_t seed, const Team& team) {
  const RandomKey key = RandomKey(seed)
                            .fold(Purpose::kAttention)
                            .fold(kEvaluationStep)
                            .fold(static_cast<std::uint64_t>(split));
  const bool writes = task.answer() == Answer::kSequence;
  std::vector<SampleResult> results(static_cast<std::size_t>(count));
  team.for_each(count, [&](Index i, const Team& worker) {
    const Sample sample = task.sample(split, i);
    SampleResult& result = results[static_cast<std::size_t>(i)];
    result.right.resize(static_cast<std::size_t>(count_scored(sample.labels)));
    const Call call{.team = worker, .key = key.fold(static_cast<std::uint64_t>(i))};
    const SampleScore score = model.forward(call, sample, values, result.right);
    result.loss = score.loss;
    result.forced_correct = score.correct;
    if (writes) score_writing(model, call, sample, values, result.right);
  });
  Evaluation total;
  Index correct = 0, forced_correct = 0, whole = 0;
  for (const SampleResult& result : results) {
    total.loss += result.loss;
    total.right.insert(total.right.end(), result.right.begin(), result.right.end());
    if (!result.right.empty()) total.starts.push_back(1);
    total.starts.resize(total.right.size(), 0);
    const Index right = std::ranges::count(result.right, 1);
    correct += right;
    forced_correct += result.forced_correct;
    whole += right == static_cast<Index>(result.right.size()) ? 1 : 0;
  }
  const auto scored = static_cast<double>(std::max(Index{1}, total.scored()));
  total.loss /= scored;
  total.accuracy = static_cast<double>(correct) / scored;
  total.forced_accuracy = static_cast<double>(forced_correct) / scored;
  total.whole_accuracy =
      static_cast<double>(whole) / static_cast<double>(std::max(Index{1}, count));
  return total;
}

std::string bitmap_text(std::span<const std::uint8_t> bits) {
  std::string text;
  for (std::size_t i = 0; i < bits.size(); i += 4) {
    unsigned digit = 0;
    for (std::size_t b = 0; b < 4; ++b) {
      digit = 2 * digit + (i + b < bits.size() && bits[i + b] != 0 ? 1U : 0U);
    }
    text += "0123456789abcdef"[digit];
  }
  return text;
}

}  // namespace arena
