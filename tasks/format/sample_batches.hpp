#pragma once
// All samples of a task, made on all threads, a batch at a time: for writing them to files.

#include <functional>
#include <span>

#include "tasks/task.hpp"

namespace arena {

constexpr Index kBatchSamples = 1000;

/// Calls take(split, first, samples) for samples first, first + 1, .. of training, validation and
/// test split, in this order.
void for_each_batch(const Task& task, const WriteProgress& progress,
                    const std::function<void(Split, Index, std::span<const Sample>)>& take);

}  // namespace arena
