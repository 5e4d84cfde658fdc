#include "harness/train/batch.hpp"

#include <algorithm>
#include <numeric>

#include "harness/model/classifier.hpp"

namespace arena {
namespace {

constexpr Index kMaxShards = 16;
constexpr Index kShardBytes = Index{32} << 20;

}  // namespace

Index EpochOrder::at(Index position) {
  const Index epoch = position / size_;
  if (epoch != epoch_) {
    order_ = RandomStream(key_.fold(static_cast<std::uint64_t>(epoch))).permutation(size_);
    epoch_ = epoch;
  }
  return order_[static_cast<std::size_t>(position % size_)];
}

Batch::Batch(Index size)
    : samples_(static_cast<std::size_t>(size)),
      sources_(static_cast<std::size_t>(size)),
      by_length_(static_cast<std::size_t>(size)) {}

void Batch::fill(const Task& task, EpochOrder& order, Index first, const Team& team) {
  for (Index i = 0; i < size(); ++i) sources_[static_cast<std::size_t>(i)] = order.at(first + i);
  team.for_each(size(), [&](Index i, const Team&) {
    samples_[static_cast<std::size_t>(i)] = task.sample(Split::kTrain, source(i));
  });
  scored_ = tokens_ = 0;
  for (const Sample& sample : samples_) {
    scored_ += count_scored(sample.labels);
    tokens_ += token_count(sample);
  }
  std::iota(by_length_.begin(), by_length_.end(), Index{0});
  std::ranges::sort(by_length_, [this](Index a, Index b) {
    const Index a_len = token_count(sample(a));
    const Index b_len = token_count(sample(b));
    return a_len != b_len ? a_len > b_len : a < b;
  });
}

Index shard_count(Index batch, Index gradient_floats) {
  const Index bytes = gradient_floats * static_cast<Index>(sizeof(float));
  Index count = kMaxShards;
  while (count > 1 && count * bytes > kShardBytes) count /= 2;
  return std::min(batch, count);
}

}  // namespace arena
