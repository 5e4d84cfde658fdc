#pragma once
// Samples that are drawn anew until they belong to the split that was asked for.

#include <span>

#include "harness/core/hash.hpp"
#include "harness/core/random.hpp"
#include "tasks/task.hpp"

namespace arena {

/// A generator must know so many sequences: then no split is empty, but for a chance of 1e-45.
inline constexpr double kFewestSequences = 1000;

/// Samples of a split, where a task has no sizes of its own.
inline Index drawn_size(Split split) {
  return split == Split::kTrain ? 100'000 : 2000;
}

/// draw(RandomStream) with the first counter at which the hash of the tokens falls into `split`: a
/// function of (data seed, split, index).
template <class Draw>
Sample drawn_sample(Index data_seed, Split split, Index index, const Draw& draw) {
  const RandomKey key = RandomKey(static_cast<std::uint64_t>(data_seed))
                            .fold(Purpose::kData)
                            .fold(static_cast<std::uint64_t>(split))
                            .fold(static_cast<std::uint64_t>(index));
  for (std::uint64_t counter = 0;; ++counter) {
    Sample drawn = draw(RandomStream(key.fold(counter)));
    if (split_of_hash(fnv1a(std::span<const std::int32_t>(drawn.tokens))) == split) return drawn;
  }
}

}  // namespace arena
