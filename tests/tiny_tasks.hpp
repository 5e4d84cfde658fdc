#pragma once
// Tasks and a variant made for the tests of model and trainer; none is registered.

#include "tasks/task.hpp"
#include "variants/attention.hpp"

namespace arena {

/// Random tokens of several lengths with random labels, which can only be learnt by heart.
class ByHeart final : public Task {
 public:
  explicit ByHeart(Answer answer, Index count = 8, Index max_len = 12, bool pairs = false)
      : answer_(answer), count_(count), max_len_(max_len), pairs_(pairs) {}

  Answer answer() const override { return answer_; }
  Index vocab_size() const override { return 7; }
  Index num_classes() const override { return 3; }
  Index max_len() const override { return max_len_; }
  bool pairs() const override { return pairs_; }
  Index size(Split) const override { return count_; }
  Sample sample(Split split, Index index) const override {
    // The splits are the same samples: the test is whether they are learnt at all.
    static_cast<void>(split);
    RandomStream stream(RandomKey(99).fold(static_cast<std::uint64_t>(index)));
    Sample sample;
    const Index len = 1 + (index * 5) % max_len_;
    for (Index i = 0; i < len; ++i) {
      sample.tokens.push_back(static_cast<std::int32_t>(stream.below(7)));
    }
    if (answer_ == Answer::kSequence) {
      for (Index i = 0; i < 1 + (len * 3) % max_len_; ++i) {
        sample.labels.push_back(static_cast<std::int32_t>(stream.below(2)));
      }
      sample.labels.push_back(2);
      return sample;
    }
    const bool per_position = answer_ == Answer::kPositionLabels;
    for (Index i = 0; i < (per_position ? len : 1); ++i) {
      const bool scored = !per_position || i % 2 == 0;
      sample.labels.push_back(scored ? static_cast<std::int32_t>(stream.below(3)) : kNotScored);
    }
    for (Index i = 0; pairs_ && i <= (len * 3) % max_len_; ++i) {
      sample.second.push_back(static_cast<std::int32_t>(stream.below(7)));
    }
    return sample;
  }
  std::string dataset_hash() const override { return "by-heart"; }
  std::vector<Baseline> baselines() const override { return {{"majority", 0.3}}; }
  std::string describe(const Sample&) const override { return "noise"; }

 private:
  Answer answer_;
  Index count_, max_len_;
  bool pairs_;
};

/// Head that weighs all values alike, times a learnt factor and a buffer's; its statistics count
/// what it has seen, its buffer follows them, and it has an auxiliary loss 0.5 * factor^2.
class CountingHead final : public AttentionHead {
 public:
  std::span<const ParameterSpec> parameters() const override { return parameters_; }
  std::span<const ParameterSpec> buffers() const override { return buffers_; }
  std::span<const ParameterSpec> statistics() const override { return statistics_; }
  void update(Slices buffers, ConstSlices statistics, RandomKey, Index step) const override {
    buffers[0](0, 0) = 1 + 0.01F * statistics[0](0, 0) / statistics[0](0, 1);
    buffers[0](0, 1) = static_cast<float>(step + 1);
    buffers[0](0, 2) = statistics[0](0, 1);
  }
  Footprint footprint(const Extents&, const Call&) const override { return {}; }
  void forward(const Call&, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame*, const Extras& extras) const override {
    const float factor = weights.parameters[0](0, 0) * weights.buffers[0](0, 0);
    for (Index i = 0; i < outputs.out.rows(); ++i) {
      outputs.out.row(i) = factor * in.value.colwise().mean();
    }
    if (extras.statistics.present()) {
      extras.statistics[0](0, 0) += in.value.sum();
      extras.statistics[0](0, 1) += static_cast<float>(in.value.rows());
    }
    const float own = weights.parameters[0](0, 0);
    if (extras.auxiliary_loss) *extras.auxiliary_loss = 0.5F * own * own;
  }
  void backward(const Call&, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame&, HeadGrads d_in,
                Slices grads) const override {
    const float buffer = weights.buffers[0](0, 0);
    const float own = weights.parameters[0](0, 0);
    const auto len = static_cast<float>(in.value.rows());
    d_in.query.setZero();
    d_in.key.setZero();
    for (Index j = 0; j < in.value.rows(); ++j) {
      d_in.value.row(j) = own * buffer / len * d_outputs.out.colwise().sum();
    }
    const Matrix mean = in.value.colwise().mean();
    const Matrix d_sum = d_outputs.out.colwise().sum();
    grads[0](0, 0) += buffer * mean.row(0).dot(d_sum.row(0)) + d_outputs.auxiliary_loss * own;
  }

 private:
  std::vector<ParameterSpec> parameters_{{.name = "factor", .rows = 1, .init = Init::ones()}};
  std::vector<ParameterSpec> buffers_{
      {.name = "level", .rows = 1, .cols = 3, .init = Init::ones(), .sharing = Sharing::kHead}};
  std::vector<ParameterSpec> statistics_{
      {.name = "sums", .rows = 1, .cols = 2, .sharing = Sharing::kHead}};
};

inline const Variant& counting_variant() {
  static const Variant variant = [] {
    Variant counting;
    counting.name = "counting";
    counting.make_head = [](const Setup&, const Options&) {
      return std::make_unique<CountingHead>();
    };
    return counting;
  }();
  return variant;
}

}  // namespace arena
