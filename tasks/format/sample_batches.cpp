#include "tasks/format/sample_batches.hpp"

#include <algorithm>

#include "harness/core/team.hpp"

namespace arena {

void for_each_batch(const Task& task, const WriteProgress& progress,
                    const std::function<void(Split, Index, std::span<const Sample>)>& take) {
  constexpr std::array kSplits = {Split::kTrain, Split::kValidation, Split::kTest};
  Workers workers(available_threads());
  Index total = 0;
  for (const Split split : kSplits) total += task.size(split);
  Index done = 0;
  for (const Split split : kSplits) {
    for (Index first = 0; first < task.size(split); first += kBatchSamples) {
      const Index count = std::min(kBatchSamples, task.size(split) - first);
      std::vector<Sample> samples(static_cast<std::size_t>(count));
      workers.team().for_each(count, [&](Index i, const Team&) {
        samples[static_cast<std::size_t>(i)] = task.sample(split, first + i);
      });
      take(split, first, samples);
      done += count;
      progress(done, total);
    }
  }
}

}  // namespace arena
