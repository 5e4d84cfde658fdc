#pragma once
// A model with all that it computes with, for tests.

#include <vector>

#include "harness/core/random.hpp"
#include "harness/model/model.hpp"

namespace arena {

inline Options model_with(const OptionTexts& texts) {
  return {"model", model_options(), texts};
}

struct Instance {
  Instance(const Variant& variant, const Task& task, const OptionTexts& options)
      : model(variant, Options(variant.name, variant.options, {}), model_with(options),
              shape_of(task)),
        weights(static_cast<std::size_t>(model.parameters().size())),
        buffers(static_cast<std::size_t>(model.buffers().size())),
        grads(weights.size()),
        statistics(static_cast<std::size_t>(model.statistics().size())) {
    model.parameters().initialise(RandomKey(5), weights);
    model.buffers().initialise(RandomKey(6), buffers);
    // Norm scales and biases away from ones and zeros, so that errors in them show.
    std::vector<float> noise(weights.size());
    fill_normal(RandomKey(8), 0.2F, View(noise.data(), 1, static_cast<Index>(noise.size())));
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += noise[i];
  }
  ModelValues values() const { return {weights, buffers}; }
  SampleScore forward_backward(const Call& call, const Sample& sample, LossScale scale) {
    return model.forward_backward(call, sample, values(), scale, {grads, statistics});
  }

  Model model;
  std::vector<float> weights, buffers, grads, statistics;
};

inline const OptionTexts kTiny{
    {"dim", "12"}, {"heads", "2"}, {"hidden", "20"}, {"dropout", "0"}, {"head_hidden", "10"}};

}  // namespace arena
