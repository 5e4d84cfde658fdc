#include "harness/train/training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace arena {
namespace {

constexpr Index kCurvePoints = 100;
constexpr Index kEvaluations = 10;
constexpr Index kSumChunk = 4096;      // floats of each shard that are summed at once
constexpr double kRecentShare = 0.05;  // of the newest step in the running means

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::span<float> span_of(Eigen::ArrayXf& values) {
  return {values.data(), static_cast<std::size_t>(values.size())};
}
std::span<const float> span_of(const Eigen::ArrayXf& values) {
  return {values.data(), static_cast<std::size_t>(values.size())};
}

Index evaluation_samples(const TrainJob& job) {
  const Index whole = job.task.size(Split::kValidation);
  const Index wanted = job.train.integer("evaluation_samples");
  return wanted == 0 ? whole : std::min(wanted, whole);
}

Index evaluation_interval(const TrainJob& job) {
  const Index wanted = job.train.integer("evaluate_every");
  return wanted > 0 ? wanted : std::max(Index{1}, job.train.integer("steps") / kEvaluations);
}

}  // namespace

Identity identity_of(const TrainJob& job) {
  Identity identity{{"variant", job.variant.name},
                    {"seed", fmt::format("{}", job.seed)},
                    {"dataset_hash", job.task.dataset_hash()}};
  const auto add = [&](const char* prefix, const Options& options) {
    for (const auto& [name, value] : options.values()) identity[prefix + name] = option_text(value);
  };
  add("variant.", job.variant_options);
  add("model.", job.model);
  add("train.", job.train);
  return identity;
}

std::string why_unsupported(const Variant& variant, const Task& task) {
  const bool graphs = task.answer() == Answer::kNodeLabels;
  if (variant.claims.edges && !graphs && !task.sample(Split::kTrain, 0).edges) {
    return fmt::format(
        "{} attends along the edges of a graph, and the samples of this task have none",
        variant.name);
  }
  if (graphs && !variant.claims.edges) {
    return fmt::format("{} does not attend along the edges of this task's graphs", variant.name);
  }
  return "";
}

Training::Training(const TrainJob& job, Workers& workers)
    : job_(job),
      team_(workers.team()),
      model_(job.variant, job.variant_options, job.model, shape_of(job.task)),
      optimizer_(model_.parameters(), job.train),
      evaluate_every_(evaluation_interval(job)),
      validation_samples_(evaluation_samples(job)),
      curve_every_(std::max(Index{1}, job.train.integer("steps") / kCurvePoints)),
      weights_(model_.parameters().size()),
      buffers_(model_.buffers().size()),
      transposed_(model_.parameters().size()),
      shards_(static_cast<std::size_t>(
          shard_count(job.train.integer("batch"), model_.parameters().size()))),
      order_(RandomKey(job.seed).fold(Purpose::kShuffle), job.task.size(Split::kTrain)),
      batch_(job.train.integer("batch")) {
  check(job.task.size(Split::kTrain) > 0, "the task has no training samples");
  if (const std::string reason = why_unsupported(job.variant, job.task); !reason.empty()) {
    throw Error(reason, Failure::kUnsupported);
  }
  model_.parameters().initialise(RandomKey(job.seed).fold(Purpose::kInitialise), span_of(weights_));
  model_.buffers().initialise(RandomKey(job.seed).fold(Purpose::kBuffer), span_of(buffers_));
  best_weights_ = weights_;
  best_buffers_ = buffers_;
  for (Shard& shard : shards_) {
    shard.grads.resize(model_.parameters().size());
    shard.statistics.resize(model_.statistics().size());
  }
  if (!job.checkpoint.empty()) {
    resumed_ = load_checkpoint(job.checkpoint, identity_of(job), state_, checkpoint_buffers());
  }
}

void Training::step() {
  const auto begin = std::chrono::steady_clock::now();
  batch_.fill(job_.task, order_, state_.step * batch_.size(), team_);
  note_batch();
  model_.prepare(span_of(weights_), span_of(transposed_));
  ModelValues values = last_values();
  values.transposed = span_of(transposed_);
  team_.for_each(static_cast<Index>(shards_.size()),
                 [&](Index s, const Team& worker) { run_shard(s, values, worker); });
  note_losses();
  sum_shards();
  optimizer_.update(team_, state_.step, span_of(weights_), span_of(shards_[0].grads));
  if (buffers_.size() > 0) {
    model_.update(span_of(buffers_), span_of(shards_[0].statistics),
                  RandomKey(job_.seed).fold(Purpose::kBuffer), state_.step);
  }
  ++state_.step;
  training_s_ += seconds_since(begin);
  tokens_here_ += batch_.tokens();
  if (state_.step % evaluate_every_ == 0 || finished()) evaluate_validation();
}

void Training::run_shard(Index index, const ModelValues& values, const Team& team) {
  Shard& shard = shards_[static_cast<std::size_t>(index)];
  shard.grads.setZero();
  shard.statistics.setZero();
  shard.loss = 0;
  shard.correct = 0;
  const LossScale scale{.score = 1 / static_cast<float>(std::max(Index{1}, batch_.scored())),
                        .auxiliary = 1 / static_cast<float>(batch_.size())};
  const ModelGrads grads{span_of(shard.grads), span_of(shard.statistics)};
  batch_.for_each_in_shard(index, static_cast<Index>(shards_.size()), [&](Index i) {
    const SampleScore score =
        model_.forward_backward(call_of(i, team), batch_.sample(i), values, scale, grads);
    shard.loss += score.loss * scale.score + score.auxiliary_loss * scale.auxiliary;
    shard.correct += score.correct;
  });
}

Call Training::call_of(Index sequence, const Team& team) const {
  return {.team = team,
          .key = RandomKey(job_.seed)
                     .fold(Purpose::kDropout)
                     .fold(static_cast<std::uint64_t>(state_.step))
                     .fold(static_cast<std::uint64_t>(sequence)),
          .training = true};
}

/// Adds all shards into the first, in a fixed tree: 0+1, 2+3, ...; 0+2, 4+6, ...; and so on.
void Training::sum_shards() {
  const auto count = shards_.size();
  const auto sum = [&](Eigen::ArrayXf Shard::*values) {
    const Index size = (shards_[0].*values).size();
    team_.for_each((size + kSumChunk - 1) / kSumChunk, [&](Index c, const Team&) {
      const Index offset = c * kSumChunk;
      const Index length = std::min(kSumChunk, size - offset);
      for (std::size_t stride = 1; stride < count; stride *= 2) {
        for (std::size_t s = 0; s + stride < count; s += 2 * stride) {
          (shards_[s].*values).segment(offset, length) +=
              (shards_[s + stride].*values).segment(offset, length);
        }
      }
    });
  };
  sum(&Shard::grads);
  sum(&Shard::statistics);
}

void Training::note_batch() {
  for (Index i = 0; i < batch_.size(); ++i) {
    const Index len = token_count(batch_.sample(i));
    if (len > state_.longest) {
      state_.longest = len;
      state_.longest_source = batch_.source(i);
    }
    state_.shortest = state_.sequences == 0 ? len : std::min(state_.shortest, len);
    ++state_.sequences;
    state_.tokens += len;
  }
}

void Training::note_losses() {
  double loss = 0;
  Index correct = 0;
  for (const Shard& shard : shards_) {
    loss += shard.loss;
    correct += shard.correct;
  }
  if (!std::isfinite(loss)) {
    throw Error(fmt::format("the loss is {} at step {} (learning rate {})", loss, state_.step,
                            optimizer_.schedule().learning_rate(state_.step)),
                Failure::kDiverged);
  }
  const auto scored = static_cast<double>(std::max(Index{1}, batch_.scored()));
  const double share =
      state_.step == 0 ? 1 : std::max(kRecentShare, 1.0 / (1.0 + static_cast<double>(state_.step)));
  recent_loss_ += share * (loss - recent_loss_);
  recent_accuracy_ += share * (static_cast<double>(correct) / scored - recent_accuracy_);
  state_.interval_loss += loss * scored;
  state_.interval_correct += correct;
  state_.interval_scored += batch_.scored();
  const Index done = state_.step + 1;
  if (done % curve_every_ != 0 && done != optimizer_.schedule().steps()) return;
  const auto total = static_cast<double>(std::max(Index{1}, state_.interval_scored));
  state_.loss_curve.push_back({.step = done,
                               .loss = state_.interval_loss / total,
                               .accuracy = static_cast<double>(state_.interval_correct) / total,
                               .wall_s = resumed_ ? 0 : wall_s()});
  state_.interval_loss = 0;
  state_.interval_correct = state_.interval_scored = 0;
}

void Training::evaluate_validation() {
  if (validation_samples_ == 0) return;
  const Evaluation result = score(Split::kValidation, validation_samples_, last_values());
  state_.validation_curve.push_back({.step = state_.step,
                                     .loss = result.loss,
                                     .accuracy = result.accuracy,
                                     .wall_s = resumed_ ? 0 : wall_s()});
  if (result.accuracy <= state_.best_accuracy) return;
  state_.best_accuracy = result.accuracy;
  state_.best_step = state_.step;
  best_weights_ = weights_;
  best_buffers_ = buffers_;
}

std::vector<CheckpointBuffer> Training::checkpoint_buffers() {
  return {{"weights", model_.parameters(), span_of(weights_)},
          {"buffers", model_.buffers(), span_of(buffers_)},
          {"best_weights", model_.parameters(), span_of(best_weights_)},
          {"best_buffers", model_.buffers(), span_of(best_buffers_)},
          {"first_moment", model_.parameters(), optimizer_.first_moment()},
          {"second_moment", model_.parameters(), optimizer_.second_moment()}};
}

void Training::save() {
  if (job_.checkpoint.empty()) return;
  save_checkpoint(job_.checkpoint, identity_of(job_), state_, checkpoint_buffers());
}

double Training::wall_s() const {
  return seconds_since(start_);
}

ModelValues Training::last_values() const {
  return {span_of(weights_), span_of(buffers_)};
}

ModelValues Training::best_values() const {
  return {span_of(best_weights_), span_of(best_buffers_)};
}

Evaluation Training::score(Split split, Index count, const ModelValues& values) const {
  return evaluate(model_, values, job_.task, split, count, job_.seed, team_);
}

Index Training::longest_footprint() const {
  Workspace workspace;
  const Sample sample = job_.task.sample(Split::kTrain, state_.longest_source);
  Eigen::ArrayXf grads = Eigen::ArrayXf::Zero(model_.parameters().size());
  Eigen::ArrayXf statistics = Eigen::ArrayXf::Zero(model_.statistics().size());
  model_.forward_backward(call_of(0, Team(std::span(&workspace, 1))), sample, last_values(), {},
                          {span_of(grads), span_of(statistics)});
  return workspace.high_water();
}

}  // namespace arena
