#pragma once
// Variants that a bench must refuse a time, and how the tests of it run one.

#include <cmath>

#include "harness/bench/bench.hpp"
#include "harness/model/make.hpp"

namespace arena {

/// dense with one thing wrong, to see that it is refused a time.
class Broken final : public AttentionHead {
 public:
  Broken(const Setup& setup, std::string fault)
      : dense_(Registry<Variant>::find("dense").make_head(setup, {})), fault_(std::move(fault)) {}

  Footprint footprint(const Extents& extents, const Call& call) const override {
    return dense_->footprint(extents, call);
  }
  void forward(const Call& call, const HeadInputs& in, const Weights& weights, HeadOutputs outputs,
               Frame* frame, const Extras& extras) const override {
    dense_->forward(call, in, weights, outputs, frame, extras);
    if (fault_ == "forward") outputs.out(outputs.out.rows() - 1, 0) += 0.01F;
    if (fault_ == "nan") outputs.out(0, 0) = std::nanf("");
    if (fault_ == "unsteady") outputs.out(0, 0) += 1e-6F * static_cast<float>(++calls_);
  }
  void backward(const Call& call, const HeadInputs& in, const Weights& weights,
                const HeadOutputGrads& d_outputs, const Frame& frame, HeadGrads d_in,
                Slices grads) const override {
    dense_->backward(call, in, weights, d_outputs, frame, d_in, grads);
    if (fault_ == "d_query") d_in.query *= 1.02F;
    if (fault_ == "d_key") d_in.key.setZero();
    if (fault_ == "d_value") d_in.value *= 1.02F;
    if (fault_ == "d_lost") d_in.value.setZero();
    if (fault_ == "d_lost_in_layer_1" && call.layer == 1) d_in.value.setZero();
  }

 private:
  std::unique_ptr<AttentionHead> dense_;
  std::string fault_;
  mutable int calls_ = 0;
};

inline const Register<Variant> kBroken{{
    .name = "test_broken",
    .summary = "dense with a fault",
    .family = "test",
    .cost = "that of dense",
    .source = "this test",
    .options = {choice_option("fault", "none",
                              {"none", "forward", "nan", "unsteady", "d_query", "d_key", "d_value",
                               "d_lost", "d_lost_in_layer_1"},
                              "what is wrong")},
    .claims = {.causal = true, .exact = {{.name = "always"}}},
    .make_head = [](const Setup& setup, const Options& options) -> std::unique_ptr<AttentionHead> {
      return std::make_unique<Broken>(setup, options.text("fault"));
    },
}};

inline const Register<Variant> kHuge{{
    .name = "test_huge",
    .summary = "asks for more memory than there is",
    .family = "test",
    .cost = "too much",
    .source = "this test",
    .claims = {.exact = {{.name = "always"}}},
    .make_head = [](const Setup& setup, const Options&) -> std::unique_ptr<AttentionHead> {
      return std::make_unique<Broken>(setup, "none");
    },
    .analytic_bytes = [](const Problem&) { return 1e18; },
}};

inline const Register<Variant> kHeadless{{.name = "test_headless",
                                          .summary = "has no head form",
                                          .family = "test",
                                          .cost = "none",
                                          .source = "this test"}};

inline BenchVariant chosen(const std::string& text) {
  const ChosenVariant variant = choose_variant(text);
  return {variant.variant.name, variant.options};
}

inline BenchGroup group_of(const BenchShape& shape, const std::vector<std::string>& variants) {
  BenchGroup group;
  group.shape = shape;
  for (const std::string& variant : variants) group.variants.push_back(chosen(variant));
  group.repetitions = 3;
  group.benchmark_flags = {"--benchmark_min_time=0.0001"};
  return group;
}

inline BenchShape small_shape(Pass pass) {
  return {.pass = pass, .length = 37, .heads = 2, .head_dim = 8};
}

inline Record run_one(const BenchShape& shape, const std::string& variant) {
  return run_bench_group(group_of(shape, {variant}), [](const std::string&) {}).front();
}

}  // namespace arena
