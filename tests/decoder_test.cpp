// The decoder: its block, teacher forcing, writing, and that the prefix of every causal mechanism
// does not depend on what is not yet written.

#include "harness/model/decoder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "harness/conformance/allocation_counter.hpp"
#include "harness/model/model.hpp"
#include "harness/train/evaluation.hpp"
#include "tests/expect_error.hpp"
#include "tests/gradient_check.hpp"
#include "tests/model_instance.hpp"
#include "tests/tiny_tasks.hpp"

namespace arena {
namespace {

constexpr Index kLen = 70;  // more than one block, bucket or chunk of any mechanism here
/// Of max |out|: the same float sums, in tiles of other sizes.
constexpr double kPrefixTolerance = 1e-5;

std::vector<std::string> variants_where(bool causal) {
  std::vector<std::string> names;
  for (const std::string& name : Registry<Variant>::names()) {
    if (Registry<Variant>::find(name).claims.causal == causal) names.push_back(name);
  }
  return names;
}

Options defaults_of(const Variant& variant) {
  return {variant.name, variant.options, {}};
}

/// The parameters and buffers of a component, drawn.
struct Values {
  explicit Values(const Component& component) {
    parameter_slices = parameters.add(component.parameters(), "", "");
    buffer_slices = buffers.add(component.buffers(), "", "");
    parameter_values.resize(static_cast<std::size_t>(parameters.size()));
    buffer_values.resize(static_cast<std::size_t>(buffers.size()));
    parameters.initialise(RandomKey(1), parameter_values);
    buffers.initialise(RandomKey(2), buffer_values);
  }
  Weights weights() const {
    return {ConstSlices(parameter_values.data(), parameter_slices),
            ConstSlices(buffer_values.data(), buffer_slices)};
  }

  ParameterLayout parameters, buffers;
  std::vector<Slice> parameter_slices, buffer_slices;
  std::vector<float> parameter_values, buffer_values;
};

/// A model that writes.
struct Writer : Instance {
  Writer(const std::string& variant, const Task& task, const OptionTexts& options)
      : Instance(Registry<Variant>::find(variant), task, options) {}

  View parameter(const std::string& name) {
    const auto entry =
        std::ranges::find(model.parameters().entries(), name, &ParameterLayout::Entry::name);
    return {weights.data() + entry->slice.offset, entry->slice.rows, entry->slice.cols};
  }
};

struct GradientCase {
  const char* name;
  const char* variant;
  const char* dropout;
  Index max_len;
};

class DecoderGradient : public testing::TestWithParam<GradientCase> {};

TEST_P(DecoderGradient, IsTheDerivativeOfTheLoss) {
  const GradientCase& c = GetParam();
  const ByHeart task(Answer::kSequence, 8, c.max_len);
  OptionTexts options = kTiny;
  options["dropout"] = c.dropout;
  Writer it(c.variant, task, options);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const Sample sample = task.sample(Split::kTrain, c.max_len > 100 ? 20 : 5);
  ASSERT_GT(sample.labels.size(), 2U);
  const auto loss = [&] {
    std::vector<float> unused(it.grads.size()), unused_statistics(it.statistics.size());
    return 0.5 * it.model
                     .forward_backward(call, sample, it.values(), {.score = 0.5F},
                                       {unused, unused_statistics})
                     .loss;
  };
  it.forward_backward(call, sample, {.score = 0.5F});
  std::uint64_t seed = 0;
  bool decodes = false;
  for (const ParameterLayout::Entry& entry : it.model.parameters().entries()) {
    const Slice& s = entry.slice;
    SCOPED_TRACE(entry.name);
    decodes = decodes || entry.name.starts_with("decoder.layers.1.cross.");
    expect_gradient(View(it.weights.data() + s.offset, s.rows, s.cols),
                    ConstView(it.grads.data() + s.offset, s.rows, s.cols), loss, ++seed, 1e-3,
                    1e-2);
  }
  EXPECT_TRUE(decodes);
}

INSTANTIATE_TEST_SUITE_P(All, DecoderGradient,
                         testing::Values(GradientCase{"own_cross", "dense", "0", 12},
                                         GradientCase{"cross_by_blocked", "local", "0", 12},
                                         GradientCase{"linear", "linear", "0", 12},
                                         GradientCase{"dropout", "blocked", "0.3", 12},
                                         GradientCase{"long", "dense", "0.1", 150}),
                         [](const auto& parameter) { return parameter.param.name; });

/// One block by itself, under a loss of its own.
TEST(DecoderBlock, HasTheGradientsOfItsInputAndOfTheContext) {
  const arena::Setup setup{.num_heads = 2, .head_dim = 6, .model_dim = 12, .max_len = 80};
  for (const char* name : {"dense", "local"}) {
    const Variant& variant = Registry<Variant>::find(name);
    const auto block =
        make_decoder(variant, setup, defaults_of(variant), {.hidden = 20, .dropout = 0.2});
    const Values values(*block);
    std::vector<float> grads(values.parameter_values.size());
    Matrix x = random_matrix(1, 9, 12), context = random_matrix(2, 70, 12), y(9, 12);
    Matrix d_x = Matrix::Ones(9, 12), d_context = Matrix::Ones(70, 12);
    const Matrix d_y = random_matrix(3, 9, 12);
    Workers workers(1);
    const Call call{.team = workers.team(), .training = true};
    const std::array<Index, 1> lengths{9};
    const std::array<ConstView, 1> in{ConstView(x)}, d_out{ConstView(d_y)};
    std::array<View, 1> out{View(y)}, d_in{View(d_x)};
    const auto loss = [&] {
      block->forward(call, in, context, values.weights(), out, nullptr, {});
      return weighted_sum(y, d_y);
    };
    Workspace memory;
    Frame frame = Frame::carve(memory, block->footprint(lengths, 70, call).frame);
    block->forward(call, in, context, values.weights(), out, &frame, {});
    const Matrix with_frame = y;
    loss();
    EXPECT_EQ(with_frame, y) << name;
    block->backward(call, in, context, values.weights(), d_out, 0, frame, d_in, d_context,
                    Slices(grads.data(), values.parameter_slices));
    expect_gradient(x, d_x, loss, 1);
    expect_gradient(context, d_context, loss, 2);
  }
}

class CausalVariants : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Registered, CausalVariants, testing::ValuesIn(variants_where(true)),
                         [](const auto& parameter) { return parameter.param; });

/// The most tokens of a sequence that the variant can write.
Index longest_written(const Variant& variant) {
  const auto& limit = variant.decoding_limit.longest;
  return limit ? limit(defaults_of(variant)) : kLen;
}

/// Rows 0 .. len-1 of a causal layer for each len, and their largest difference from one pass over
/// all, as a part of its largest number.
double prefix_error(const Variant& variant, Index all) {
  const arena::Setup setup{
      .num_heads = 2, .head_dim = 10, .model_dim = 20, .max_len = kLen + 3, .causal = true};
  const auto layer = make_layer(variant, setup, defaults_of(variant));
  const Values values(*layer);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const Matrix x = random_matrix(4, all, 20, 2);
  Matrix whole(all, 20), part(all, 20);
  layer->forward(call, {x}, values.weights(), whole, nullptr, {});
  float error = 0;
  for (Index len = 1; len < all; ++len) {
    const View y = View(part).row_slice(0, len);
    layer->forward(call, {ConstView(x).row_slice(0, len)}, values.weights(), y, nullptr, {});
    error = std::max(error, (y - whole.topRows(len)).cwiseAbs().maxCoeff());
  }
  return error / whole.cwiseAbs().maxCoeff();
}

/// What decoding relies on: read alone, a prefix gives what it gives in the whole sequence.
TEST_P(CausalVariants, APrefixReadAloneGivesTheRowsOfOnePass) {
  const Variant& variant = Registry<Variant>::find(GetParam());
  EXPECT_LE(prefix_error(variant, std::min(kLen, longest_written(variant))), kPrefixTolerance);
}

TEST(DecodingLimits, AreToldAndNoLowerThanTheyMustBe) {
  for (const std::string& name : Registry<Variant>::names()) {
    const Variant& variant = Registry<Variant>::find(name);
    if (!variant.decoding_limit.longest) continue;
    const Index longest = longest_written(variant);
    EXPECT_GT(prefix_error(variant, longest + 1), kPrefixTolerance) << name;
    const auto make = [&](Index max_len) {
      const arena::Setup setup{.head_dim = 8, .model_dim = 8, .max_len = max_len};
      make_decoder(variant, setup, defaults_of(variant), {.hidden = 8});
    };
    make(longest - 1);  // and the end mark
    const auto error = error_of([&] { make(longest); });
    ASSERT_TRUE(error.has_value()) << name;
    EXPECT_EQ(error->failure(), Failure::kUnsupported);
    EXPECT_NE(std::string(error->what()).find("the end mark included"), std::string::npos);
  }
}

TEST_P(CausalVariants, OneQueryBehindItsKeysGivesTheRowOfOnePass) {
  const Variant& variant = Registry<Variant>::find(GetParam());
  if (!variant.claims.cross) GTEST_SKIP() << "as many queries as keys only";
  const arena::Setup setup{.head_dim = 20, .max_len = kLen, .causal = true};
  const auto head = make_head(variant, setup, defaults_of(variant));
  const Values values(*head);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  const Matrix query = random_matrix(4, kLen, 20), key = random_matrix(5, kLen, 20),
               value = random_matrix(6, kLen, 20);
  const auto rows = [](const Matrix& all, Index first, Index count) {
    return ConstView(all).row_slice(first, count);
  };
  Matrix whole(kLen, 20), row(1, 20);
  head->forward(call, {.query = query, .key = key, .value = value}, values.weights(),
                {.out = whole}, nullptr, {});
  for (Index len = 1; len <= kLen; ++len) {
    head->forward(
        call,
        {.query = rows(query, len - 1, 1), .key = rows(key, 0, len), .value = rows(value, 0, len)},
        values.weights(), {.out = row}, nullptr, {});
    const double error = (row - whole.row(len - 1)).cwiseAbs().maxCoeff();
    ASSERT_LE(error, kPrefixTolerance * whole.cwiseAbs().maxCoeff()) << "query " << len - 1;
  }
}

/// Given what it wrote as the target, teacher forcing finds each token the likeliest. The less
/// likely the end mark, the later it is written, or never.
TEST_P(CausalVariants, WriteTheLikeliestTokenOfTeacherForcing) {
  const ByHeart task(Answer::kSequence, 8, 40);
  Writer it(GetParam(), task, kTiny);
  Workers workers(1);
  const Call call{.team = workers.team(), .key = RandomKey(3)};
  Index longest = 0, ended = 0;
  for (Index i = 0; i < 32; ++i) {
    if (i % 8 == 7) it.parameter("classifier.out.bias")(0, 2) -= 0.5F;
    Sample sample = task.sample(Split::kTest, i % 8);
    std::vector<std::int32_t> written(41, -7);
    const Index count = it.model.write(call, sample, it.values(), written);
    ASSERT_GE(count, 1);
    const auto end = std::ranges::find(written, 2);
    EXPECT_EQ(count, end == written.end() ? 41 : end - written.begin() + 1);
    EXPECT_TRUE(count == 41 || written[static_cast<std::size_t>(count)] == -7);
    sample.labels.assign(written.begin(), written.begin() + count);
    std::vector<std::uint8_t> right(sample.labels.size());
    const SampleScore score = it.model.forward(call, sample, it.values(), right);
    EXPECT_EQ(score.correct, count);
    EXPECT_EQ(std::ranges::count(right, 1), count);
    longest = std::max(longest, count);
    ended += end != written.end() ? 1 : 0;
  }
  EXPECT_GT(longest, 1);
  EXPECT_GT(ended, 0);
}

class OtherVariants : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Registered, OtherVariants, testing::ValuesIn(variants_where(false)));

TEST_P(OtherVariants, CannotWrite) {
  const ByHeart task(Answer::kSequence);
  const auto error = error_of([&] { Writer(GetParam(), task, kTiny); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kUnsupported);
}

TEST(Decoder, HasCrossAttentionOfBlockedWhereTheVariantHasNone) {
  EXPECT_EQ(cross_variant(Registry<Variant>::find("linear")).name, "linear");
  EXPECT_EQ(cross_variant(Registry<Variant>::find("local")).name, "blocked");
}

TEST(Decoder, HasTheSameBitsOnAnyTeam) {
  const ByHeart task(Answer::kSequence, 8, 300);
  std::vector<std::vector<float>> grads;
  std::vector<std::vector<std::int32_t>> texts;
  for (const Index threads : {1, 2, 3}) {
    Writer it("dense", task, kTiny);
    Workers workers(threads);
    const Call call{.team = workers.team(), .key = RandomKey(3)};
    Sample sample = task.sample(Split::kTrain, 59);
    sample.labels.assign(290, 1);
    const double loss = it.forward_backward(call, sample, {}).loss;
    EXPECT_EQ(it.model.forward(call, sample, it.values(), {}).loss, loss);
    grads.push_back(it.grads);
    texts.emplace_back(70);
    it.model.write(call, sample, it.values(), texts.back());
  }
  EXPECT_EQ(grads[0], grads[1]);
  EXPECT_EQ(grads[0], grads[2]);
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_EQ(texts[0], texts[2]);
}

TEST(Decoder, AllocatesNothingAfterTheFirstStep) {
  const ByHeart task(Answer::kSequence, 8, 100);
  for (const char* name : {"blocked", "local", "linear"}) {
    Writer it(name, task, {{"dropout", "0.1"}});
    Workers workers(1);
    const Call call{.team = workers.team(), .key = RandomKey(3)};
    const Sample sample = task.sample(Split::kTrain, 19);
    std::vector<std::int32_t> written(sample.labels.size());
    const auto step = [&] {
      it.forward_backward(call, sample, {});
      it.model.write(call, sample, it.values(), written);
    };
    step();
    allocation_count = 0;
    allocations_are_counted = true;
    step();
    allocations_are_counted = false;
    EXPECT_EQ(allocation_count, 0) << name;
  }
}

/// A few samples given one by one.
class Listed final : public Task {
 public:
  explicit Listed(std::vector<Sample> samples) : samples_(std::move(samples)) {}
  Answer answer() const override { return Answer::kSequence; }
  Index vocab_size() const override { return 7; }
  Index num_classes() const override { return 3; }
  Index max_len() const override { return 12; }
  Index size(Split) const override { return static_cast<Index>(samples_.size()); }
  Sample sample(Split, Index index) const override {
    return samples_[static_cast<std::size_t>(index)];
  }
  std::string dataset_hash() const override { return "listed"; }
  std::vector<Baseline> baselines() const override { return {}; }
  std::string describe(const Sample&) const override { return ""; }

 private:
  std::vector<Sample> samples_;
};

/// Targets that are the model's own text, which does not end: a part of it, with another second
/// token, whole. Then one that the model, which ends at once, writes nothing of.
TEST(Evaluation, ScoresWhatTheModelWritesByItself) {
  Writer it("dense", ByHeart(Answer::kSequence), kTiny);
  Workers one(1), three(3);
  const Sample read{.tokens = {1, 2, 3, 4}, .labels = {0, 0, 2}};
  float& end = it.parameter("classifier.out.bias")(0, 2);
  end = -1000;
  std::vector<std::int32_t> text(13);
  ASSERT_EQ(it.model.write({.team = one.team()}, read, it.values(), text), 13);
  std::vector<Sample> samples(3, read);
  for (Sample& sample : samples) sample.labels = text;
  samples[0].labels.pop_back();
  samples[1].labels[1] = (text[1] + 1) % 3;
  std::vector<std::uint8_t> right(12 + 13 + 13, 1);
  right[12 + 1] = 0;
  for (Workers* workers : {&one, &three}) {
    const Evaluation result =
        evaluate(it.model, it.values(), Listed(samples), Split::kTest, 3, 1, workers->team());
    EXPECT_EQ(result.right, right);
    EXPECT_DOUBLE_EQ(result.accuracy, 37 / 38.0);
    EXPECT_DOUBLE_EQ(result.whole_accuracy, 2 / 3.0);
    EXPECT_LT(result.forced_accuracy, 1);
  }
  end = 1000;
  const Evaluation ended =
      evaluate(it.model, it.values(), Listed({read}), Split::kTest, 1, 1, one.team());
  EXPECT_EQ(ended.right, (std::vector<std::uint8_t>{0, 0, 0}));
  EXPECT_DOUBLE_EQ(ended.forced_accuracy, 1 / 3.0);
}

TEST(Decoder, RefusesTargetsThatDoNotFit) {
  const ByHeart task(Answer::kSequence);
  const Writer it("dense", task, kTiny);
  Workers workers(1);
  const Call call{.team = workers.team()};
  const auto forward = [&](const std::vector<std::int32_t>& target) {
    it.model.forward(call, {.tokens = {1, 2}, .labels = target}, it.values(), {});
  };
  EXPECT_ERROR(forward({}), "a target of 0 tokens; expected 1 to 13");
  EXPECT_ERROR(forward(std::vector<std::int32_t>(14, 2)), "a target of 14 tokens");
  EXPECT_ERROR(forward({0, 3}), "target 3 is not in 0..2");
  std::vector<std::int32_t> written(14);
  EXPECT_ERROR(it.model.write(call, {.tokens = {1}, .labels = {2}}, it.values(), written),
               "14 tokens to write; at most 13");
}

}  // namespace
}  // namespace arena
