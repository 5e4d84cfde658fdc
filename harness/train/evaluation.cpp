#include "harness/train/evaluation.hpp"

namespace arena {
namespace {

/// Stands where training keys have the step.
constexpr std::uint64_t kEvaluationStep = ~std::uint64_t{0};

struct SampleResult {
  double loss = 0;
  std::vector<std::uint8_t> right;
};

}  // namespace

Evaluation evaluate(const Model& model, const ModelValues& values, const Task& task, Split split,
                    Index count, std::uint64_t seed, const Team& team) {
  const RandomKey key = RandomKey(seed)
                            .fold(Purpose::kAttention)
                            .fold(kEvaluationStep)
                            .fold(static_cast<std::uint64_t>(split));
  std::vector<SampleResult> results(static_cast<std::size_t>(count));
  team.for_each(count, [&](Index i, const Team& worker) {
    const Sample sample = task.sample(split, i);
    SampleResult& result = results[static_cast<std::size_t>(i)];
    result.right.resize(static_cast<std::size_t>(count_scored(sample.labels)));
    const Call call{.team = worker, .key = key.fold(static_cast<std::uint64_t>(i))};
    result.loss = model.forward(call, sample, values, result.right).loss;
  });
  Evaluation total;
  Index correct = 0;
  for (const SampleResult& result : results) {
    total.loss += result.loss;
    total.right.insert(total.right.end(), result.right.begin(), result.right.end());
    for (const std::uint8_t bit : result.right) correct += bit;
  }
  const auto scored = static_cast<double>(std::max(Index{1}, total.scored()));
  total.loss /= scored;
  total.accuracy = static_cast<double>(correct) / scored;
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
