#pragma once
// Which samples a training step sees, and how they are shared out.

#include <cstdint>
#include <span>
#include <vector>

#include "harness/core/team.hpp"
#include "tasks/task.hpp"

namespace arena {

/// The endless stream of training samples: epoch after epoch, each in an order of its own that is
/// a function of (key, epoch).
class EpochOrder {
 public:
  EpochOrder(RandomKey key, Index size) : key_(key), size_(size) {}
  /// Sample index at a position of the stream.
  Index at(Index position);

 private:
  RandomKey key_;
  Index size_;
  Index epoch_ = -1;
  std::vector<Index> order_;
};

/// The samples of one step, dealt to shards: a function of the samples alone, not of threads.
class Batch {
 public:
  explicit Batch(Index size);

  /// Makes the samples at `first`, `first + 1`, ... of the stream, in parallel.
  void fill(const Task& task, EpochOrder& order, Index first, const Team& team);

  Index size() const { return static_cast<Index>(samples_.size()); }
  const Sample& sample(Index i) const { return samples_[static_cast<std::size_t>(i)]; }
  /// Index of sample i in the training split.
  Index source(Index i) const { return sources_[static_cast<std::size_t>(i)]; }
  Index scored() const { return scored_; }  // labels that count
  Index tokens() const { return tokens_; }
  /// Samples of a shard, longest first; samples are dealt in turn, longest first.
  template <class Body>
  void for_each_in_shard(Index shard, Index shards, Body&& body) const {
    for (Index i = shard; i < size(); i += shards) body(by_length_[static_cast<std::size_t>(i)]);
  }

 private:
  std::vector<Sample> samples_;
  std::vector<Index> sources_, by_length_;
  Index scored_ = 0, tokens_ = 0;
};

/// 16, halved until the gradients of all are within 32 MiB, where caches help (at least 1); at most
/// batch.
Index shard_count(Index batch, Index gradient_floats);

}  // namespace arena
