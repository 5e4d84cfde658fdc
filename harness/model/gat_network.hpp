#pragma once
// The two-layer graph attention network of Velickovic et al. 2018, section 3.3, for a label per
// node:
//
//   hidden = dropout(ELU(heads side by side of dropout(x)))
//   logits = mean over the output heads, each as wide as there are classes
//
// Published for Cora and Citeseer: 8 heads of 8 features, one output head, dropout 0.6 (of both
// layers' inputs here, of attention weights in the variant's option).

#include <array>

#include "harness/layers/loss.hpp"
#include "harness/model/graph_layer.hpp"
#include "tasks/task.hpp"

namespace arena {

class GatNetwork {
 public:
  struct Settings {
    Index feature_dim = 0, num_classes = 0;
    Index heads = 8, head_dim = 8, output_heads = 1;
    double dropout = 0.6;
  };
  struct Request {
    const Call& call;  // its key is that of the sample
    const Sample& sample;
    const Weights& weights;
    float loss_scale = 1;
    std::span<std::uint8_t> right{};
    const Slices& grads;  // in training (call.training), added to
  };

  /// Throws Failure::kUnsupported on a variant without a fitting head and on tokens.
  GatNetwork(const Variant& variant, const Options& options, const Settings& settings);

  std::vector<ParameterSpec> specs() const;
  /// Scores the labels of one graph; in training adds the gradient of loss_scale * (sum of losses).
  LossSum run(const Request& request) const;

 private:
  /// Of layer l in slices that run() gets.
  template <class AnySlices>
  AnySlices part(const AnySlices& all, Index layer) const {
    return all.part(layer == 0 ? 0 : first_size_,
                    layer == 0 ? first_size_ : all.size() - first_size_);
  }
  LossSum score(const Request& request, ConstView out, View d_out) const;

  Settings settings_;
  std::array<GraphLayer, 2> layers_;
  Index first_size_;  // parameters of the first layer
};

}  // namespace arena
