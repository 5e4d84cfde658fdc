#include "harness/model/model.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "harness/conformance/allocation_counter.hpp"
#include "harness/model/heads.hpp"
#include "harness/train/optimizer.hpp"
#include "tests/expect_error.hpp"
#include "tests/gradient_check.hpp"
#include "tests/model_instance.hpp"
#include "tests/tiny_tasks.hpp"

namespace arena {
namespace {

const Variant& dense() {
  return Registry<Variant>::find("dense");
}

struct GradientCase {
  const char* name;
  bool counting;
  Answer answer;
  const char* dropout;
  Index max_len;
  bool pairs = false;
};

class ModelGradient : public ::testing::TestWithParam<GradientCase> {};

TEST_P(ModelGradient, IsTheDerivativeOfTheLoss) {
  const GradientCase& c = GetParam();
  const ByHeart task(c.answer, 8, c.max_len, c.pairs);
  OptionTexts options = kTiny;
  options["dropout"] = c.dropout;
  Instance it(c.counting ? counting_variant() : dense(), task, options);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const LossScale scale{.score = 0.5F, .auxiliary = 2};
  const Sample sample = task.sample(Split::kTrain, c.max_len > 100 ? 20 : 5);
  const auto loss = [&] {
    std::vector<float> unused(it.grads.size()), unused_statistics(it.statistics.size());
    const SampleScore score =
        it.model.forward_backward(call, sample, it.values(), scale, {unused, unused_statistics});
    return 0.5 * score.loss + 2 * score.auxiliary_loss;
  };
  it.forward_backward(call, sample, scale);
  std::uint64_t seed = 0;
  for (const ParameterLayout::Entry& entry : it.model.parameters().entries()) {
    const Slice& s = entry.slice;
    SCOPED_TRACE(entry.name);
    expect_gradient(View(it.weights.data() + s.offset, s.rows, s.cols),
                    ConstView(it.grads.data() + s.offset, s.rows, s.cols), loss, ++seed, 1e-3,
                    1e-2);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ModelGradient,
    ::testing::Values(GradientCase{"sequence", false, Answer::kSequenceLabel, "0", 12},
                      GradientCase{"positions", false, Answer::kPositionLabels, "0", 12},
                      GradientCase{"dropout", false, Answer::kPositionLabels, "0.3", 12},
                      GradientCase{"long", false, Answer::kPositionLabels, "0.1", 150},
                      GradientCase{"counting", true, Answer::kSequenceLabel, "0", 12},
                      GradientCase{"pairs", false, Answer::kSequenceLabel, "0.2", 12, true},
                      GradientCase{"long_pairs", false, Answer::kSequenceLabel, "0", 150, true},
                      GradientCase{"counting_pairs", true, Answer::kSequenceLabel, "0", 12, true}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(Model, AddsToGradientsAndRepeatsBitForBit) {
  const ByHeart task(Answer::kPositionLabels);
  Instance it(dense(), task, kTiny);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const Sample sample = task.sample(Split::kTrain, 3);
  it.forward_backward(call, sample, {});
  std::vector<float> twice = it.grads;
  for (float& g : twice) g += g;
  it.forward_backward(call, task.sample(Split::kTrain, 5), {});  // other use of the workspace
  std::ranges::fill(it.grads, 0.0F);
  it.forward_backward(call, sample, {});
  it.forward_backward(call, sample, {});
  for (std::size_t i = 0; i < twice.size(); ++i) {
    EXPECT_NEAR(it.grads[i], twice[i], 1e-6F * (1 + std::abs(twice[i])));
  }
}

TEST(Model, HasTheSameBitsOnAnyTeamEvenInOneLongSequence) {
  const ByHeart task(Answer::kSequenceLabel, 8, 600);
  std::vector<std::vector<float>> grads;
  std::vector<double> losses, evaluated;
  for (const Index threads : {1, 2, 3}) {
    Instance it(dense(), task, kTiny);
    Workers workers(threads);
    const Call call{.team = workers.team(), .key = RandomKey(3)};
    Sample sample = task.sample(Split::kTrain, 0);
    sample.tokens.assign(557, 2);
    for (std::size_t i = 0; i < sample.tokens.size(); i += 3) sample.tokens[i] = 5;
    losses.push_back(it.forward_backward(call, sample, {}).loss);
    evaluated.push_back(it.model.forward(call, sample, it.values(), {}).loss);
    grads.push_back(it.grads);
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
  EXPECT_EQ(grads[0], grads[1]);
  EXPECT_EQ(grads[0], grads[2]);
  EXPECT_EQ(evaluated[0], evaluated[2]);
  EXPECT_EQ(evaluated[0], losses[0]);  // without dropout both passes compute the same
}

/// The score of a pair from its parts: the mean of each document by itself, the head by hand.
TEST(Model, APairIsScoredOnTheMeansOfItsDocuments) {
  const ByHeart task(Answer::kSequenceLabel, 8, 40, true);
  Instance it(dense(), task, kTiny);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const Sample sample = task.sample(Split::kTrain, 3);
  ASSERT_NE(sample.tokens.size(), sample.second.size());
  const auto loss_of = [&](const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
    const Sample pair{.tokens = a, .second = b, .labels = sample.labels};
    return it.model.forward(call, pair, it.values(), {}).loss;
  };
  const auto weight = std::ranges::find(it.model.parameters().entries(), "classifier.hidden.weight",
                                        &ParameterLayout::Entry::name);
  ASSERT_NE(weight, it.model.parameters().entries().end());
  const auto [offset, rows, cols] = weight->slice;
  ASSERT_EQ(rows, 4 * 12);
  View all(it.weights.data() + offset, rows, cols);
  // Only a * b counts: a pair and the same pair turned round score alike.
  const Matrix kept = all;
  all.row_slice(0, 24).setZero();
  all.row_slice(36, 12).setZero();
  EXPECT_NEAR(loss_of(sample.tokens, sample.second), loss_of(sample.second, sample.tokens), 1e-6);
  // Only a - b counts: two equal documents score as any other two equal ones.
  all.setZero();
  all.row_slice(36, 12) = kept.bottomRows(12);
  EXPECT_NEAR(loss_of(sample.tokens, sample.tokens), loss_of(sample.second, sample.second), 1e-6);
  EXPECT_GT(std::abs(loss_of(sample.tokens, sample.second) - loss_of(sample.second, sample.tokens)),
            1e-4);
  // Only a counts, then only b.
  for (const Index first : {0, 12}) {
    all.setZero();
    all.row_slice(first, 12) = kept.middleRows(first, 12);
    const bool second_counts = first == 12;
    EXPECT_EQ(loss_of(sample.tokens, sample.second) == loss_of(sample.tokens, {1, 2}),
              !second_counts);
    EXPECT_EQ(loss_of(sample.tokens, sample.second) == loss_of({1, 2}, sample.second),
              second_counts);
  }
}

TEST(Model, PreparedWeightsChangeNoBit) {
  const ByHeart task(Answer::kPositionLabels);
  Instance it(dense(), task, kTiny);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const Sample sample = task.sample(Split::kTrain, 3);
  it.forward_backward(call, sample, {});
  std::vector<float> transposed(it.weights.size()), grads(it.weights.size());
  it.model.prepare(it.weights, transposed);
  ModelValues values = it.values();
  values.transposed = transposed;
  it.model.forward_backward(call, sample, values, {}, {grads, it.statistics});
  EXPECT_EQ(grads, it.grads);
}

TEST(Heads, LieSideBySideOrStacked) {
  const Matrix wide = Matrix::Random(3, 4), tall = Matrix::Random(6, 2);
  EXPECT_EQ(Heads(2).part(ConstView(wide), 1), wide.rightCols(2));
  EXPECT_EQ(Heads(2, HeadLayout::kStacked).part(ConstView(tall), 1), tall.bottomRows(3));
  EXPECT_TRUE(Heads(2).part(ConstView(), 1).empty());
}

TEST(Model, StaysWithinItsFootprint) {
  // The frame asserts its own limit in debug builds; here: a repeated pass takes no more memory.
  const ByHeart task(Answer::kSequenceLabel, 8, 300);
  Instance it(dense(), task, kTiny);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  Sample sample = task.sample(Split::kTrain, 0);
  sample.tokens.assign(300, 1);
  it.forward_backward(call, sample, {});
  const Index high = workers.high_water();
  it.forward_backward(call, sample, {});
  EXPECT_EQ(workers.high_water(), high);
}

/// Which worker gets which item is chance: in the next step it may be the largest.
void give_each_room_for_all(std::span<Workspace> workspaces) {
  Index most = 0;
  for (const Workspace& workspace : workspaces) most = std::max(most, workspace.high_water());
  for (Workspace& workspace : workspaces) {
    const WorkspaceScope scope(workspace);
    workspace.take<std::byte>(most);
  }
}

TEST(Model, AllocatesNothingAfterTheFirstStep) {
  const ByHeart positions(Answer::kPositionLabels, 8, 200);
  const ByHeart pairs(Answer::kSequenceLabel, 8, 200, true);
  for (const auto& [name, task] : {std::pair("dense", positions), std::pair("blocked", positions),
                                   std::pair("blocked", pairs)}) {
    for (const Index threads : {1, 2}) {
      Instance it(Registry<Variant>::find(name), task, {{"dropout", "0.1"}});
      Optimizer optimizer(it.model.parameters(), Options("train", optimizer_options(), {}));
      std::vector<Workspace> workspaces(static_cast<std::size_t>(threads));
      const Call call{.team = Team(workspaces), .key = RandomKey(3)};
      const Sample sample = task.sample(Split::kTrain, 1 + 3 * 8);
      std::vector<std::uint8_t> right(static_cast<std::size_t>(count_scored(sample.labels)));
      const auto step = [&] {
        it.forward_backward(call, sample, {});
        optimizer.update(call.team, 0, it.weights, it.grads);
        it.model.forward(call, sample, it.values(), right);
      };
      step();
      give_each_room_for_all(workspaces);
      allocation_count = 0;
      allocations_are_counted = true;
      step();
      allocations_are_counted = false;
      EXPECT_EQ(allocation_count, 0) << name << " on " << threads << " threads";
    }
  }
}

Index parameters_of(const std::string& variant, const OptionTexts& options, Index classes,
                    Index max_len, bool pairs = false) {
  const ChosenVariant chosen = choose_variant(variant);
  const Model model(chosen.variant, chosen.options, model_with(options),
                    {.vocab_size = 16, .num_classes = classes, .max_len = max_len, .pairs = pairs});
  return model.parameters().parameter_count();
}

// lra.md 6.1.
TEST(Model, HasTheParameterCountsOfTheTwoLayerSetup) {
  const OptionTexts listops{{"vocab_rows", "32"}, {"position_rows", "2048"}};
  const OptionTexts text{{"vocab_rows", "512"}, {"position_rows", "4096"}};
  const OptionTexts image{{"vocab_rows", "512"}};
  EXPECT_EQ(parameters_of("dense", listops, 10, 2000), 209802);
  EXPECT_EQ(parameters_of("dense", text, 2, 4000), 370562);
  EXPECT_EQ(parameters_of("dense", text, 2, 4000, true), 395138);
  EXPECT_EQ(parameters_of("dense", image, 10, 1024), 174986);
  EXPECT_EQ(parameters_of("dense", image, 2, 1024), 173954);
  const std::string linformer = "linformer[rank=256,sharing=model]";
  EXPECT_EQ(parameters_of(linformer, listops, 10, 2000), 1258378);
  EXPECT_EQ(parameters_of(linformer, text, 2, 4000), 2467714);
  EXPECT_EQ(parameters_of(linformer, text, 2, 4000, true), 2492290);
  EXPECT_EQ(parameters_of(linformer, image, 10, 1024), 699274);
  EXPECT_EQ(parameters_of(linformer, image, 2, 1024), 698242);
}

TEST(Model, RefusesWhatDoesNotFit) {
  const auto make = [](const OptionTexts& options, const ModelShape& shape) {
    return Model(dense(), Options("dense", dense().options, {}), model_with(options), shape);
  };
  const ModelShape shape{.vocab_size = 10, .num_classes = 2, .max_len = 20};
  EXPECT_THROW(make({{"dim", "10"}, {"heads", "4"}}, shape), Error);
  EXPECT_THROW(make({{"vocab_rows", "9"}}, shape), Error);
  EXPECT_THROW(make({{"position_rows", "19"}}, shape), Error);
  ModelShape pairs = shape;
  pairs.answer = Answer::kPositionLabels;
  pairs.pairs = true;
  const auto error = error_of([&] { make({}, pairs); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kUnsupported);
}

TEST(Model, RefusesSamplesThatDoNotFit) {
  const ByHeart task(Answer::kSequenceLabel);
  Instance it(dense(), task, kTiny);
  Workers workers(1);
  const Call call{.team = workers.team()};
  const auto refuse = [&](const std::vector<std::int32_t>& tokens) {
    Sample sample{.tokens = tokens, .labels = {0}};
    EXPECT_THROW(it.model.forward(call, sample, it.values(), {}), Error);
  };
  refuse({});
  refuse(std::vector<std::int32_t>(13, 0));
  refuse({0, 7});
  refuse({-1});
  const auto refuse_kind = [&](const Model& model, const Sample& sample, const char* message) {
    const auto error = error_of([&] { model.forward(call, sample, it.values(), {}); });
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->failure(), Failure::kUnsupported);
    EXPECT_STREQ(error->what(), message);
  };
  refuse_kind(it.model, {.tokens = {1}, .second = {1}, .labels = {0}},
              "this model takes one sequence of tokens");
  const Instance of_pairs(dense(), ByHeart(Answer::kSequenceLabel, 8, 12, true), kTiny);
  refuse_kind(of_pairs.model, {.tokens = {1}, .labels = {0}},
              "this model takes two sequences of tokens");
  EXPECT_THROW(of_pairs.model.forward(call, {.tokens = {1}, .second = {7}, .labels = {0}},
                                      of_pairs.values(), {}),
               Error);
}

TEST(MultiHead, AttendsAcrossToAContext) {
  const arena::Setup setup{.num_heads = 2, .head_dim = 5, .model_dim = 8, .max_len = 80};
  const auto layer = make_layer(dense(), setup, Options("dense", dense().options, {}));
  ParameterLayout layout;
  const std::vector<Slice> slices = layout.add(layer->parameters(), "", "");
  std::vector<float> weights(static_cast<std::size_t>(layout.size())), grads(weights.size());
  layout.initialise(RandomKey(1), weights);
  Matrix x = random_matrix(1, 9, 8), context = random_matrix(2, 70, 8), y(9, 8);
  Matrix d_x = Matrix::Ones(9, 8), d_context = Matrix::Ones(70, 8);
  const Matrix d_y = random_matrix(3, 9, 8);
  Workers workers(1);
  const Call call{.team = workers.team()};
  const Weights all{ConstSlices(weights.data(), slices), {}};
  const auto loss = [&] {
    layer->forward(call, {x, context}, all, y, nullptr, {});
    return weighted_sum(y, d_y);
  };
  Workspace memory;
  Frame frame = Frame::carve(memory, layer->footprint({9, 70}, call).frame);
  layer->forward(call, {x, context}, all, y, &frame, {});
  const Matrix with_frame = y;
  loss();
  EXPECT_EQ(with_frame, y);
  layer->backward(call, {x, context}, all, d_y, 0, frame, {d_x, d_context},
                  Slices(grads.data(), slices));
  expect_gradient(x, d_x, loss, 1);
  expect_gradient(context, d_context, loss, 2);
  expect_gradient(View(weights.data() + slices[4].offset, 8, 10),
                  ConstView(grads.data() + slices[4].offset, 8, 10), loss, 3);
}

}  // namespace
}  // namespace arena
