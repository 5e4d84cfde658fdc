#include "harness/bench/step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/bench/contender.hpp"
#include "harness/bench/gradient_probe.hpp"
#include "harness/model/make.hpp"
#include "tasks/format/listops_expression.hpp"

namespace arena {
namespace {

constexpr std::uint64_t kStepSeed = 1;
constexpr Index kClasses = 10;
constexpr Index kEndless = 100'000'000;  // steps: the schedule is constant

Sample random_sample(const BenchShape& shape, Index index) {
  RandomStream stream(RandomKey(kStepSeed)
                          .fold(Purpose::kBench)
                          .fold("tokens")
                          .fold(static_cast<std::uint64_t>(index)));
  Sample sample;
  for (Index i = 0; i < shape.length; ++i) {
    sample.tokens.push_back(static_cast<std::int32_t>(stream.below(kListopsVocabulary)));
  }
  sample.labels.push_back(static_cast<std::int32_t>(stream.below(kClasses)));
  return sample;
}

}  // namespace

ChosenTask choose_task(const std::string& text) {
  const NamedOptions named = parse_named(text);
  const TaskInfo& info = Registry<TaskInfo>::find(named.name);
  return {info, Options(info.name, info.options, named.options)};
}

StepBatch::StepBatch(const BenchShape& shape, bool with_edges) {
  if (shape.task.empty()) {
    vocab_size_ = kListopsVocabulary;
    num_classes_ = kClasses;
    max_len_ = shape.length;
    for (Index i = 0; i < shape.batch; ++i) samples_.push_back(random_sample(shape, i));
    if (!with_edges) return;
    const auto graph = std::make_shared<const Edges>(bench_graph(shape.length));
    for (Sample& sample : samples_) sample.edges = graph;
    return;
  }
  const ChosenTask chosen = choose_task(shape.task);
  const auto task = chosen.info.make({}, chosen.options);
  if (task->answer() != Answer::kSequenceLabel) {
    throw Error(fmt::format("{}: steps are timed of tasks with one label per sequence only",
                            chosen.label()),
                Failure::kUnsupported);
  }
  vocab_size_ = task->vocab_size();
  num_classes_ = task->num_classes();
  max_len_ = task->max_len();
  pairs_ = task->pairs();
  dataset_hash_ = task->dataset_hash();
  check(shape.batch <= task->size(Split::kTrain), "--batch={}: {} has {} training samples",
        shape.batch, chosen.label(), task->size(Split::kTrain));
  for (Index i = 0; i < shape.batch; ++i) samples_.push_back(task->sample(Split::kTrain, i));
}

Index StepBatch::tokens() const {
  Index tokens = 0;
  for (const Sample& sample : samples_) tokens += token_count(sample);
  return tokens;
}

std::map<std::string, double> StepBatch::lengths() const {
  const auto [shortest, longest] = std::ranges::minmax_element(samples_, {}, token_count);
  return {{"min", static_cast<double>(token_count(*shortest))},
          {"mean", static_cast<double>(tokens()) / static_cast<double>(samples_.size())},
          {"max", static_cast<double>(token_count(*longest))}};
}

TrainJob step_job(const BenchShape& shape, const BenchVariant& chosen, const StepBatch& batch) {
  const auto text = [](Index value) { return option_text(value); };
  const Index width = shape.heads * shape.head_dim;
  return {.variant = Registry<Variant>::find(chosen.name),
          .variant_options = chosen.options,
          .task = batch,
          .model = Options("model", model_options(),
                           {{"layers", text(kStepLayers)},
                            {"dim", text(width)},
                            {"heads", text(shape.heads)},
                            {"hidden", text(2 * width)},
                            {"dropout", "0"}}),
          .train = Options("train", train_options(),
                           {{"steps", text(kEndless)},
                            {"evaluate_every", text(kEndless)},
                            {"schedule", "constant"},
                            {"warmup", "0"},
                            {"batch", text(shape.batch)}}),
          .seed = kStepSeed,
          .checkpoint = ""};
}

double step_flops(const BenchShape& shape, const BenchVariant& chosen, const StepBatch& batch,
                  const Model& model) {
  const Variant& variant = Registry<Variant>::find(chosen.name);
  double per_token = 0, per_sequence = 0;
  for (const ParameterLayout::Entry& entry : model.parameters().entries()) {
    if (!entry.name.ends_with(".weight")) continue;
    const auto weights = static_cast<double>(entry.slice.rows * entry.slice.cols);
    (entry.name.starts_with("layers.") ? per_token : per_sequence) += 6 * weights;
  }
  BenchShape one = shape;
  one.pass = Pass::kForward;
  double flops = 0;
  for (const Sample& sample : batch.samples()) {
    flops += per_sequence + per_token * static_cast<double>(token_count(sample));
    if (!variant.flops) continue;
    for (const auto* document : {&sample.tokens, &sample.second}) {
      if (document->empty()) continue;
      one.length = static_cast<Index>(document->size());
      Problem problem = bench_problem(one, chosen.options);
      if (sample.edges) problem.edges = sample.edges->count();
      flops += 3.5 * kStepLayers * variant.flops(problem);
    }
  }
  return flops;
}

/// Sequence after sequence in a fixed order, as one shard of a training would.
double StepContender::loss_of(const Team& team, std::span<const float> weights,
                              std::span<float> grads) const {
  const Model& model = training_.model();
  const ModelValues values{weights, training_.last_values().buffers};
  std::vector<float> statistics(static_cast<std::size_t>(model.statistics().size()));
  const LossScale scale{1 / static_cast<float>(batch_.samples().size()),
                        1 / static_cast<float>(batch_.samples().size())};
  double loss = 0;
  for (const Sample& sample : batch_.samples()) {
    const Call call{.team = team, .key = RandomKey(kStepSeed), .training = true};
    const SampleScore score =
        model.forward_backward(call, sample, values, scale, {grads, statistics});
    loss += score.loss + score.auxiliary_loss;
  }
  return loss / static_cast<double>(batch_.samples().size());
}

StepContender::GradientCheck StepContender::check_gradient(const Team& team) const {
  const std::span<const float> weights = training_.last_values().parameters;
  std::vector<float> grads(weights.size()), unused(weights.size());
  GradientCheck result;
  result.loss = loss_of(team, weights, grads);
  const auto count = static_cast<Index>(weights.size());
  const ProbedTensor all{{weights.data(), 1, count}, {grads.data(), 1, count}};
  result.error = directional_error(std::span(&all, 1), [&](std::span<const Matrix> moved) {
    return loss_of(team, {moved[0].data(), weights.size()}, unused);
  });
  return result;
}

}  // namespace arena
