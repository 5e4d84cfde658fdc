// A head with inputs of its own and a plan that it computes, through everything that handles heads:
// the suite, attend, the layer around heads and bench.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "harness/attend/attend.hpp"
#include "harness/bench/contender.hpp"
#include "harness/conformance/conformance.hpp"
#include "harness/model/heads.hpp"

namespace arena {
namespace {

/// out_i = gate_i * value_{order_i}; order sorts the positions by the gate's first column.
class Gated final : public AttentionHead {
 public:
  std::span<const std::string_view> inputs() const override {
    static constexpr std::array<std::string_view, 2> kNames{"value", "gate"};
    return kNames;
  }
  Footprint footprint(const Extents& extents, const Call&) const override {
    const Index bytes = stored_bytes<std::int64_t>(extents.key_len);
    return {.frame = bytes, .scratch = bytes};
  }
  void forward(const Call& call, const HeadInputs& in, const Weights&, HeadOutputs outputs,
               Frame* frame, const Extras& extras) const override {
    const WorkspaceScope scope(call.team.workspace());
    const Index len = in.value.rows();
    const std::span<std::int64_t> order =
        frame ? frame->take<std::int64_t>(len) : call.team.workspace().take<std::int64_t>(len);
    const ConstView& gate = in.extra[0];
    if (call.plan) {
      std::ranges::copy(call.plan->at("order"), order.begin());
    } else {
      std::iota(order.begin(), order.end(), 0);
      std::ranges::sort(order, [&](std::int64_t a, std::int64_t b) {
        return std::pair(gate(a, 0), a) < std::pair(gate(b, 0), b);
      });
    }
    if (extras.plan) (*extras.plan)["order"].assign(order.begin(), order.end());
    for (Index i = 0; i < len; ++i) {
      const Index from = order[static_cast<std::size_t>(i)];
      outputs.out.row(i) = gate.row(i).cwiseProduct(in.value.row(from));
    }
  }
  void backward(const Call&, const HeadInputs& in, const Weights&, const HeadOutputGrads& d_outputs,
                const Frame& frame, HeadGrads d_in, Slices) const override {
    FrameReader saved(frame);
    const Index len = in.value.rows();
    const auto order = saved.take<std::int64_t>(len);
    for (Index i = 0; i < len; ++i) {
      const Index from = order[static_cast<std::size_t>(i)];
      d_in.extra[0].row(i) = d_outputs.out.row(i).cwiseProduct(in.value.row(from));
      d_in.value.row(from) = d_outputs.out.row(i).cwiseProduct(in.extra[0].row(i));
    }
  }
};

MatrixD reference(const Problem&, const Call& call, const HeadInputs& in, const Weights&) {
  check(call.plan, "the reference needs the plan");
  MatrixD out(in.value.rows(), in.value.cols());
  for (Index i = 0; i < out.rows(); ++i) {
    const Index from = call.plan->at("order")[static_cast<std::size_t>(i)];
    out.row(i) = in.extra[0].row(i).cast<double>().cwiseProduct(in.value.row(from).cast<double>());
  }
  return out;
}

const Register<Variant> kGated{{
    .name = "test_gated",
    .summary = "test",
    .family = "test",
    .cost = "test",
    .source = "test",
    .claims = {.reference = reference},
    .make_head = [](const Setup&, const Options&) { return std::make_unique<Gated>(); },
    .flops = [](const Problem& p) { return p.pass == Pass::kTrain ? 2.0 : 1.0; },
    .analytic_bytes = [](const Problem&) { return 0.0; },
}};

TEST(HeadInputs, AreNamedBySlot) {
  const InputNames names = input_names(Gated());
  EXPECT_EQ(names, (InputNames{"", "", "value", "gate", "", ""}));
}

TEST(HeadInputs, PlansOfHeadsAreNamedByHead) {
  Plan layer;
  add_plan_of_head(layer, 0, {{"order", {1}}});
  add_plan_of_head(layer, 11, {{"order", {2, 3}}});
  EXPECT_EQ(layer.at("heads.11.order"), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(plan_of_head(layer, 0), (Plan{{"order", {1}}}));
  EXPECT_TRUE(plan_of_head(layer, 1).empty());
}

TEST(HeadInputs, TheSuiteHoldsThemAndFreezesThePlan) {
  const ChosenVariant chosen = choose_variant("test_gated");
  for (const char* name :
       {"oracle", "oracle_gradients", "gradients", "accumulation", "lengths", "sentinels",
        "beyond_views", "used_workspace", "frameless", "footprint", "threads", "extreme_logits"}) {
    const CheckResult result = run_check(find_check(name), chosen);
    EXPECT_TRUE(result.passed) << name << ": " << result.detail;
  }
}

TensorFile gated_file(bool layer) {
  TensorFile file;
  const auto tensor = [](std::uint64_t seed, std::vector<Index> shape) {
    Matrix values(1, std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>()));
    fill_normal(RandomKey(seed), 1, values);
    return float_tensor(shape, {values.data(), values.data() + values.size()});
  };
  if (layer) {
    file.tensors["x"] = tensor(1, {9, 6});
    file.tensors["d_out"] = tensor(2, {9, 6});
  } else {
    file.tensors["value"] = tensor(1, {9, 2, 3});
    file.tensors["gate"] = tensor(2, {9, 2, 3});
    file.tensors["d_out"] = tensor(3, {9, 2, 3});
  }
  return file;
}

TensorFile run(const TensorFile& in) {
  const ChosenVariant chosen = choose_variant("test_gated");
  return attend({.variant = chosen.variant,
                 .options = chosen.options,
                 .seed = 7,
                 .threads = 1,
                 .num_heads = 2},
                in, "in.safetensors");
}

TEST(HeadInputs, AttendTakesThemAndGivesTheirGradientsAndPlan) {
  const TensorFile out = run(gated_file(false));
  EXPECT_EQ(out.tensors.at("d_gate").shape, (std::vector<Index>{9, 2, 3}));
  EXPECT_EQ(out.tensors.at("d_value").shape, (std::vector<Index>{9, 2, 3}));
  EXPECT_FALSE(out.tensors.contains("d_query"));
  EXPECT_EQ(out.tensors.at("plan_heads.1.order").integers.size(), 9U);
}

TEST(HeadInputs, AttendFollowsAFrozenPlan) {
  TensorFile in = gated_file(false);
  std::vector<std::int64_t> order(9);
  std::iota(order.begin(), order.end(), 0);
  for (const char* name : {"plan_heads.0.order", "plan_heads.1.order"}) {
    in.tensors[name] = integer_tensor({9}, order);
  }
  const TensorFile out = run(in);
  for (std::size_t i = 0; i < 54; ++i) {
    EXPECT_EQ(out.tensors.at("out").floats[i],
              in.tensors.at("gate").floats[i] * in.tensors.at("value").floats[i]);
  }
  in.tensors["plan_heads.0.odrer"] = integer_tensor({9}, order);
  EXPECT_THROW(run(in), Error);
}

TEST(HeadInputs, TheLayerProjectsThem) {
  const TensorFile out = run(gated_file(true));
  for (const char* name : {"value.weight", "gate.weight", "d_gate.weight", "d_x", "d_value.bias"}) {
    EXPECT_TRUE(out.tensors.contains(name)) << name;
  }
  EXPECT_FALSE(out.tensors.contains("query.weight"));
  EXPECT_EQ(out.tensors.at("plan_heads.0.order").integers.size(), 9U);
}

TEST(HeadInputs, BenchComparesWithTheOracleUnderThePlanOfTheCall) {
  for (const char* scope : {"kernel", "layer"}) {
    const BenchShape shape{
        .scope = scope, .pass = Pass::kTrain, .length = 50, .heads = 2, .head_dim = 8};
    const BenchInputs inputs(shape);
    const auto contender = make_contender(shape, {"test_gated", {}}, inputs);
    Workers workers(1);
    const WorkspaceScope memory(workers.team().workspace());
    contender->run(workers.team());
    EXPECT_LT(contender->output_error(workers.team()), 1e-5) << scope;
    EXPECT_LT(contender->gradient_error(workers.team()), 1e-3) << scope;
  }
}

}  // namespace
}  // namespace arena
