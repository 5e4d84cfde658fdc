#include "harness/train/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr Index kChunk = 8192;  // floats: four arrays of a chunk fit into the second cache

auto part(std::span<float> values, Index offset, Index size) {
  return Eigen::Map<Eigen::ArrayXf>(values.data() + offset, size);
}

}  // namespace

std::vector<OptionSpec> optimizer_options() {
  return {
      integer_option("steps", 500, 1, 100'000'000, "updates of the weights"),
      real_option("learning_rate", 1e-3, 0, 100, "base of the schedule"),
      choice_option("schedule", "linear", {"constant", "linear", "cosine", "rsqrt", "one_cycle"},
                    "how the learning rate goes"),
      integer_option("warmup", 50, 0, 100'000'000, "steps of warm-up"),
      real_option("weight_decay", 0, 0, 10, "decoupled weight decay"),
      real_option("l2", 0, 0, 10, "l2 / 2 |weights|^2 is part of the loss (not of the one shown)"),
      real_option("beta1", 0.9, 0, 0.999999, "decay of the first moment"),
      real_option("beta2", 0.999, 0, 0.999999, "decay of the second moment"),
      switch_option("beta1_cycle", false, "one_cycle only: beta1 from .95 to .85 and back"),
      real_option("epsilon", 1e-8, 1e-30, 1, "added to the root of the second moment"),
      real_option("clip", 0, 0, 1e9, "largest norm of the gradient (0: no clipping)")};
}

Schedule::Schedule(const Options& train)
    : name_(train.text("schedule")),
      base_(train.real("learning_rate")),
      beta1_(train.real("beta1")),
      beta1_cycle_(train.on("beta1_cycle")),
      warmup_(std::max(Index{1}, train.integer("warmup"))),
      steps_(train.integer("steps")) {
  check(!beta1_cycle_ || name_ == "one_cycle", "train: beta1_cycle=true needs schedule=one_cycle");
}

double Schedule::learning_rate(Index step) const {
  const auto k = static_cast<double>(step);
  const auto w = static_cast<double>(warmup_);
  const auto steps = static_cast<double>(steps_);
  if (name_ == "one_cycle") return cycle(step, base_ / 25, base_, base_ / 25 / 1e4);
  if (name_ == "rsqrt") return base_ * std::min(1.0, k / w) / std::sqrt(std::max(k, w));
  if (name_ == "cosine") {
    const double progress = std::fmod(std::max(0.0, k - w) / steps, 1.0);
    return base_ * std::min(1.0, k / w) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  }
  const double rising = base_ * std::min(1.0, (k + 1) / w);
  if (name_ == "constant" || k < w) return rising;
  return base_ * std::max(0.0, steps - k) / std::max(1.0, steps - w);
}

double Schedule::beta1(Index step) const {
  return beta1_cycle_ ? cycle(step, 0.95, 0.85, 0.95) : beta1_;
}

double Schedule::cycle(Index step, double first, double peak, double last) const {
  const Index top = warmup_ - 1;
  if (step < top) {
    return first + (peak - first) * static_cast<double>(step) / static_cast<double>(top);
  }
  const auto down = static_cast<double>(std::max(Index{1}, steps_ - 1 - top));
  return peak + (last - peak) * std::min(1.0, static_cast<double>(step - top) / down);
}

Optimizer::Optimizer(const ParameterLayout& layout, const Options& train)
    : schedule_(train),
      beta2_(train.real("beta2")),
      epsilon_(train.real("epsilon")),
      weight_decay_(train.real("weight_decay")),
      l2_(train.real("l2")),
      clip_(train.real("clip")),
      first_(Eigen::ArrayXf::Zero(layout.size())),
      second_(Eigen::ArrayXf::Zero(layout.size())) {
  for (const ParameterLayout::Entry& entry : layout.entries()) {
    if (!entry.trainable) continue;
    const Index end = entry.slice.offset + entry.slice.rows * entry.slice.cols;
    for (Index offset = entry.slice.offset; offset < end; offset += kChunk) {
      chunks_.push_back({offset, std::min(kChunk, end - offset)});
    }
  }
  chunk_sums_.resize(chunks_.size());
}

void Optimizer::update(const Team& team, Index step, std::span<float> weights,
                       std::span<float> grads) {
  if (clip_ > 0) clip_norm(team, grads);
  const double rate = schedule_.learning_rate(step);
  const double beta1 = schedule_.beta1(step);
  const auto count = static_cast<double>(step + 1);
  // p = p * keep - step_size * m / (sqrt(v) * root + epsilon)
  const auto keep = static_cast<float>(1 - rate * weight_decay_);
  const auto step_size = static_cast<float>(rate / (1 - std::pow(beta1, count)));
  const auto root = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2_, count)));
  const auto epsilon = static_cast<float>(epsilon_);
  const auto l2 = static_cast<float>(l2_);
  const auto b1 = static_cast<float>(beta1);
  const auto b2 = static_cast<float>(beta2_);
  const auto rest1 = static_cast<float>(1 - beta1);
  const auto rest2 = static_cast<float>(1 - beta2_);
  team.for_each(static_cast<Index>(chunks_.size()), [&](Index c, const Team&) {
    const auto [offset, size] = chunks_[static_cast<std::size_t>(c)];
    auto p = part(weights, offset, size);
    auto g = part(grads, offset, size);
    if (l2 > 0) g += l2 * p;
    auto m = first_.segment(offset, size);
    auto v = second_.segment(offset, size);
    m = b1 * m + rest1 * g;
    v = b2 * v + rest2 * g.square();
    p = p * keep - step_size * m / (v.sqrt() * root + epsilon);
  });
}

void Optimizer::clip_norm(const Team& team, std::span<float> grads) {
  const auto count = static_cast<Index>(chunks_.size());
  team.for_each(count, [&](Index c, const Team&) {
    const auto [offset, size] = chunks_[static_cast<std::size_t>(c)];
    double sum = 0;
    for (const float g :
         grads.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size))) {
      sum += static_cast<double>(g) * g;
    }
    chunk_sums_[static_cast<std::size_t>(c)] = sum;
  });
  double square = 0;
  for (const double sum : chunk_sums_) square += sum;
  const double norm = std::sqrt(square);
  if (norm <= clip_) return;
  const auto factor = static_cast<float>(clip_ / norm);
  team.for_each(count, [&](Index c, const Team&) {
    const auto [offset, size] = chunks_[static_cast<std::size_t>(c)];
    part(grads, offset, size) *= factor;
  });
}

}  // namespace arena
