#include "variants/engine/block_sort.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "harness/layers/product.hpp"

namespace arena {

BlockSort::BlockSort(const SortedBlocks& blocks, Index rounds, float temperature)
    : blocks_(blocks),
      count_(blocks.count()),
      rounds_(rounds),
      temperature_(temperature),
      balance_(count_, rounds, blocks.causal) {}

Index BlockSort::square_bytes() const {
  return stored_bytes<float>(count_ * balance_.width());
}

Index BlockSort::summaries_bytes() const {
  return stored_bytes<float>(count_ * blocks_.head_dim);
}

Index BlockSort::frame_bytes() const {
  return summaries_bytes() + square_bytes();
}

SoftmaxScratch BlockSort::forward_scratch(bool saves, const SoftmaxScratch& inner) const {
  const Index own = (saves ? 0 : frame_bytes()) + mixture_bytes();
  return {own + inner.caller, own + inner.total};
}

SoftmaxScratch BlockSort::backward_scratch(const SoftmaxScratch& inner) const {
  const Index begin =
      stored_bytes<float>(2 * rounds_ * count_ * balance_.width()) + 2 * mixture_bytes();
  const Index end = square_bytes() + summaries_bytes();
  return {begin + std::max(inner.caller, end), begin + std::max(inner.total, end)};
}

Index BlockSort::mixture_bytes() const {
  return (blocks_.has_partial() ? 2 : 1) * square_bytes();
}

Range BlockSort::summed(Index i) const {
  const Index first = i * blocks_.block;
  if (!blocks_.causal) return {first, first + blocks_.pair(i).rows};
  return {i == 0 ? first : first - blocks_.block + 1, first + 1};
}

Index BlockSort::divisor(Index i) const {
  return blocks_.causal ? summed(i).end : summed(i).size();
}

void BlockSort::summarise(const ConstView& key, View summaries) const {
  for (Index i = 0; i < count_; ++i) {
    const Range rows = summed(i);
    summaries.row(i) = key.row(rows.begin);
    for (Index t = rows.begin + 1; t < rows.end; ++t) summaries.row(i) += key.row(t);
    if (blocks_.causal && i > 0) summaries.row(i) += summaries.row(i - 1);
  }
  for (Index i = 0; i < count_; ++i) summaries.row(i) /= static_cast<float>(divisor(i));
}

/// d_summaries is used up.
void BlockSort::add_summaries_gradient(View d_summaries, View d_key) const {
  for (Index i = count_; i-- > 0;) {
    const Range rows = summed(i);
    d_summaries.row(i) /= static_cast<float>(divisor(i));
    if (blocks_.causal && i + 1 < count_) d_summaries.row(i) += d_summaries.row(i + 1);
    for (Index t = rows.begin; t < rows.end; ++t) d_key.row(t) += d_summaries.row(i);
  }
}

double BlockSort::gumbel(RandomKey key, Index i, Index l) {
  constexpr double kHalfStep = 0x1p-25;
  const float u = key.fold(static_cast<std::uint64_t>(i)).uniform_at(static_cast<std::uint64_t>(l));
  return -std::log(-std::log(static_cast<double>(u) + kHalfStep));
}

BlockMixture<View> BlockSort::take_mixture(Workspace& workspace) const {
  const View weights = workspace.matrix(count_, balance_.width());
  if (!blocks_.has_partial()) return {weights, View()};
  return {weights, workspace.matrix(count_, balance_.width())};
}

void BlockSort::balance(const ConstView& logits, View steps,
                        const BlockMixture<View>& mixture) const {
  View r = mixture.weights;
  r = logits;
  balance_.run(r, steps);
  if (blocks_.has_partial()) balance_.weights(r, count_ - 1, mixture.partial);
  balance_.weights(r, count_, r);
}

BlockMixture<View> BlockSort::forward(const Team& team, const ConstView& key, const ConstView& sort,
                                      std::optional<RandomKey> noise, Frame* frame) const {
  Workspace& workspace = team.workspace();
  const auto take = [&](Index cols) {
    return frame ? frame->matrix(count_, cols) : workspace.matrix(count_, cols);
  };
  View summaries = take(blocks_.head_dim), logits = take(balance_.width());
  summarise(key, summaries);
  multiply(team, summaries, sort.column_slice(0, count_), logits.column_slice(0, count_),
           Output::kOverwrite);
  for (Index i = 0; i < count_; ++i) {
    for (Index l = 0; l < count_; ++l) {
      const float shift = noise ? static_cast<float>(gumbel(*noise, i, l)) : 0;
      logits(i, l) = std::numbers::log2e_v<float> * (logits(i, l) / temperature_ + shift);
    }
  }
  balance_.hide(logits);
  const BlockMixture<View> mixture = take_mixture(workspace);
  balance(logits, View(), mixture);
  return mixture;
}

BlockSort::Backward BlockSort::backward_begin(const Team& team, FrameReader& saved) const {
  Workspace& workspace = team.workspace();
  const ConstView summaries = saved.matrix(count_, blocks_.head_dim);
  const ConstView logits = saved.matrix(count_, balance_.width());
  const View steps = workspace.matrix(2 * rounds_ * count_, balance_.width());
  const BlockMixture<View> mixture = take_mixture(workspace);
  BlockMixture<View> d_mixture = take_mixture(workspace);
  balance(logits, steps, mixture);
  d_mixture.weights.setZero();
  d_mixture.partial.setZero();
  return {summaries, steps, mixture, d_mixture};
}

void BlockSort::backward_end(const Team& team, const Backward& begun, const ConstView& sort,
                             View d_sort, View d_key) const {
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  View d_logits = workspace.matrix(count_, balance_.width());
  d_logits.setZero();
  balance_.add_weights_gradient(begun.mixture.weights, begun.d_mixture.weights, d_logits);
  if (blocks_.has_partial()) {
    balance_.add_weights_gradient(begun.mixture.partial, begun.d_mixture.partial, d_logits);
  }
  balance_.backward(begun.steps, d_logits);
  d_logits /= temperature_;
  const View existing = d_logits.column_slice(0, count_);
  multiply(team, transpose(begun.summaries), existing, d_sort.column_slice(0, count_),
           Output::kAdd);
  const View d_summaries = workspace.matrix(count_, blocks_.head_dim);
  multiply(team, existing, transpose(sort.column_slice(0, count_)), d_summaries,
           Output::kOverwrite);
  add_summaries_gradient(d_summaries, d_key);
}

}  // namespace arena
