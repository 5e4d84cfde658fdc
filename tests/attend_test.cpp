#include "harness/attend/attend.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "harness/bench/gradient_probe.hpp"
#include "harness/conformance/oracle.hpp"
#include "harness/model/make.hpp"
#include "tests/expect_error.hpp"

namespace arena {
namespace {

constexpr Index kHeads = 2;
constexpr Index kWidth = 4;

Tensor random_tensor(std::uint64_t seed, std::vector<Index> shape) {
  Tensor tensor{.shape = std::move(shape)};
  tensor.floats.resize(static_cast<std::size_t>(tensor.count()));
  fill_normal(RandomKey(seed).fold(Purpose::kTest), 1,
              View(tensor.floats.data(), 1, tensor.count()));
  return tensor;
}

TensorFile heads_input(Index query_len, Index key_len) {
  TensorFile file;
  file.tensors["query"] = random_tensor(1, {query_len, kHeads, kWidth});
  file.tensors["key"] = random_tensor(2, {key_len, kHeads, kWidth});
  file.tensors["value"] = random_tensor(3, {key_len, kHeads, kWidth});
  return file;
}

TensorFile run(const std::string& variant, const TensorFile& in, bool causal = false,
               Index threads = 1) {
  const ChosenVariant chosen = choose_variant(variant);
  return attend({.variant = chosen.variant,
                 .options = chosen.options,
                 .causal = causal,
                 .seed = 7,
                 .threads = threads},
                in, "in.safetensors");
}

/// Head h of a tensor [len, kHeads, width].
ConstView head_of(const Tensor& tensor, Index h) {
  return ConstView(tensor.floats.data(), tensor.shape[0], tensor.shape[1] * tensor.shape[2])
      .column_slice(h * tensor.shape[2], tensor.shape[2]);
}

TEST(Attend, DenseIsExactAttentionOfEachHead) {
  for (const bool causal : {false, true}) {
    const TensorFile in = heads_input(5, 8);
    const TensorFile out = run("dense", in, causal);
    for (Index h = 0; h < kHeads; ++h) {
      const HeadInputs inputs{head_of(in.tensors.at("query"), h), head_of(in.tensors.at("key"), h),
                              head_of(in.tensors.at("value"), h)};
      const OracleOutputs expected = softmax_attention(to_double(inputs), {.causal = causal});
      EXPECT_LT(max_error(head_of(out.tensors.at("out"), h), expected.out), 1e-6);
      const Tensor& log_sum_exp = out.tensors.at("log_sum_exp");
      EXPECT_EQ(log_sum_exp.shape, (std::vector<Index>{5, kHeads}));
      for (Index i = 0; i < 5; ++i) {
        EXPECT_NEAR(log_sum_exp.floats[static_cast<std::size_t>(i * kHeads + h)],
                    expected.log_sum_exp(i, 0), 1e-5);
      }
    }
    EXPECT_FALSE(out.tensors.contains("d_query"));
  }
}

/// Each gradient in the output against differences of sum(out * d_out).
double gradient_error(const std::string& variant, TensorFile in,
                      const std::vector<std::string>& names) {
  const TensorFile out = run(variant, in);
  for (const std::string& name : names)
    in.tensors[name] = out.tensors.contains(name) ? out.tensors.at(name) : in.tensors.at(name);
  const Tensor d_out = in.tensors.at("d_out");
  std::vector<ProbedTensor> probed;
  for (const std::string& name : names) {
    const Tensor& value = in.tensors.at(name);
    const Tensor& gradient = out.tensors.at("d_" + name);
    EXPECT_EQ(gradient.shape, value.shape) << name;
    probed.push_back({ConstView(value.floats.data(), 1, value.count()),
                      ConstView(gradient.floats.data(), 1, gradient.count())});
  }
  return directional_error(probed, [&](std::span<const Matrix> moved) {
    TensorFile changed = in;
    for (std::size_t i = 0; i < names.size(); ++i) {
      changed.tensors[names[i]].floats.assign(moved[i].data(), moved[i].data() + moved[i].size());
    }
    const Tensor result = run(variant, changed).tensors.at("out");
    double loss = 0;
    for (std::size_t i = 0; i < result.floats.size(); ++i) {
      loss += static_cast<double>(result.floats[i]) * static_cast<double>(d_out.floats[i]);
    }
    return loss;
  });
}

// Differences of a loss in float, step 1e-3.
constexpr double kDifferenceTolerance = 3e-2;

TEST(Attend, GradientsOfHeadsAreThoseOfOut) {
  TensorFile in = heads_input(6, 9);
  in.tensors["d_out"] = random_tensor(4, {6, kHeads, kWidth});
  EXPECT_LT(gradient_error("dense", in, {"query", "key", "value"}), kDifferenceTolerance);
}

/// Node i sees i and i + 1.
Tensor ring(Index nodes) {
  std::vector<std::int64_t> pairs;
  for (Index i = 0; i < nodes; ++i) {
    for (const Index j : {(i + 1) % nodes, i}) pairs.insert(pairs.end(), {i, j});
  }
  return integer_tensor({2 * nodes, 2}, pairs);
}

TEST(Attend, EdgesSayWhoSeesWhom) {
  TensorFile in = heads_input(6, 6);
  in.tensors["d_out"] = random_tensor(4, {6, kHeads, kWidth});
  EXPECT_ERROR(run("graph", in), "graph attends along the edges of a graph");
  in.tensors["edges"] = ring(6);
  const TensorFile out = run("graph", in);
  const Edges edges =
      edges_where(6, 6, [](Index i, Index j) { return j == i || j == (i + 1) % 6; });
  for (Index h = 0; h < kHeads; ++h) {
    const HeadInputs inputs{head_of(in.tensors.at("query"), h), head_of(in.tensors.at("key"), h),
                            head_of(in.tensors.at("value"), h)};
    const OracleOutputs expected = softmax_attention(to_double(inputs), {.edges = &edges});
    EXPECT_LT(max_error(head_of(out.tensors.at("out"), h), expected.out), 1e-6);
  }
  EXPECT_LT(gradient_error("graph", in, {"query", "key", "value"}), kDifferenceTolerance);
}

TEST(Attend, LayerFormTakesXAndGivesGradientsOfItsProjections) {
  TensorFile in;
  in.tensors["x"] = random_tensor(5, {7, 6});
  in.tensors["d_out"] = random_tensor(6, {7, 6});
  const TensorFile out = run("dense", in);
  EXPECT_EQ(out.tensors.at("out").shape, (std::vector<Index>{7, 6}));
  EXPECT_EQ(out.tensors.at("query.weight").shape, (std::vector<Index>{6, 6}));
  EXPECT_LT(gradient_error("dense", in, {"x", "query.weight", "value.bias", "out.weight"}),
            kDifferenceTolerance);
}

TEST(Attend, LayerFormWithIdentityProjectionsIsTheHead) {
  const TensorFile heads = heads_input(6, 6);
  TensorFile in;
  in.tensors["x"] = random_tensor(5, {6, kWidth});
  Tensor identity{.shape = {kWidth, kWidth}};
  identity.floats.assign(kWidth * kWidth, 0);
  for (std::size_t i = 0; i < kWidth; ++i) identity.floats[i * (kWidth + 1)] = 1;
  for (const char* name : {"query", "key", "value", "out"}) {
    in.tensors[std::string(name) + ".weight"] = identity;
  }
  const TensorFile out = run("dense", in);
  const ConstView x(in.tensors["x"].floats.data(), 6, kWidth);
  const OracleOutputs expected = softmax_attention(to_double({x, x, x}), {});
  EXPECT_LT(max_error(ConstView(out.tensors.at("out").floats.data(), 6, kWidth), expected.out),
            1e-5);
}

TEST(Attend, WhatWasUsedRunsAgainToTheSameBits) {
  for (const std::string& variant : Registry<Variant>::names()) {
    const ChosenVariant chosen = choose_variant(variant);
    const auto head =
        make_head(chosen.variant, {.num_heads = kHeads, .head_dim = kWidth}, chosen.options);
    TensorFile in;
    in.tensors["d_out"] = random_tensor(4, {6, kHeads, kWidth});
    in.tensors["edges"] = ring(6);
    for (const std::string_view name : head->inputs()) {
      in.tensors[std::string(name)] = random_tensor(name.size(), {6, kHeads, kWidth});
    }
    const TensorFile first = run(variant, in);
    TensorFile again = in;
    for (const auto& [name, tensor] : first.tensors) {
      const bool result = name.starts_with("d_") || name == "out" || name == "log_sum_exp";
      if (!result) again.tensors[name] = tensor;
    }
    EXPECT_EQ(run(variant, again, false, 2), first) << variant;
  }
}

TEST(Attend, SaysWhatIsWrongWithAFile) {
  const TensorFile good = heads_input(5, 8);
  TensorFile in = good;
  in.tensors.erase("value");
  EXPECT_ERROR(run("dense", in), "in.safetensors: no tensor 'value'");
  in = good;
  in.tensors["value"] = random_tensor(3, {7, kHeads, kWidth});
  EXPECT_ERROR(run("dense", in), "'value' has shape [7, 2, 4]");
  in = good;
  in.tensors["query"] = random_tensor(3, {7, kHeads});
  EXPECT_ERROR(run("dense", in), "[query_len, heads, head_dim]");
  in = good;
  in.tensors["key"] = integer_tensor({1}, {1});
  EXPECT_ERROR(run("dense", in), "'key' is I64, expected F32");
  in = good;
  in.tensors["d_uot"] = in.tensors["query"];
  EXPECT_ERROR(run("dense", in), "did you mean 'd_out'?");
  in = good;
  in.tensors["edges"] = integer_tensor({1, 2}, {4, 8});
  EXPECT_ERROR(run("dense", in), "edge (4, 8)");
  in = good;
  in.tensors["globals"] = integer_tensor({1}, {8});
  EXPECT_ERROR(run("dense", in), "'globals' has position 8");
  in = TensorFile{};
  in.tensors["x"] = random_tensor(5, {7, 6});
  const ChosenVariant dense = choose_variant("dense");
  EXPECT_ERROR(
      attend({.variant = dense.variant, .options = dense.options, .num_heads = 4}, in, "x"),
      "model_dim=6");
}

}  // namespace
}  // namespace arena
