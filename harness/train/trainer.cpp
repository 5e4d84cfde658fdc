#include "harness/train/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/layers/eigen_blocking.hpp"
#include "harness/model/decoder.hpp"
#include "harness/train/training.hpp"
#include "harness/train/verdict.hpp"

namespace arena {
namespace {

constexpr double kProgressSeconds = 0.25;
constexpr double kCheckpointSeconds = 30;

/// True at the first call and then once per interval.
class Interval {
 public:
  explicit Interval(double seconds) : seconds_(seconds) {}
  bool due() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return false;
    next_ = now + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                      std::chrono::duration<double>(seconds_));
    return true;
  }

 private:
  double seconds_;
  std::chrono::steady_clock::time_point next_{};
};

double tokens_per_s(const Training& training) {
  return training.training_s() > 0
             ? static_cast<double>(training.tokens_here()) / training.training_s()
             : 0;
}

TrainProgress progress_of(const Training& training, Index first_step) {
  const TrainState& state = training.state();
  const Index steps = training.optimizer().schedule().steps();
  const auto done = static_cast<double>(state.step - first_step);
  const double per_step = done > 0 ? training.wall_s() / done : 0;
  return {.step = state.step,
          .steps = steps,
          .loss = training.recent_loss(),
          .accuracy = training.recent_accuracy(),
          .validation_accuracy =
              state.validation_curve.empty() ? -1 : state.validation_curve.back().accuracy,
          .tokens_per_s = tokens_per_s(training),
          .seconds_left = per_step * static_cast<double>(steps - state.step)};
}

void run_steps(const TrainJob& job, Training& training,
               const std::function<void(const TrainProgress&)>& progress) {
  const Index first_step = training.state().step;
  Interval show(kProgressSeconds);
  Interval save(kCheckpointSeconds);
  save.due();
  while (!training.finished()) {
    if (job.stop && job.stop->load()) {
      training.save();
      throw Stopped();
    }
    training.step();
    if (save.due()) training.save();
    if (progress && (show.due() || training.finished())) {
      progress(progress_of(training, first_step));
    }
  }
  if (training.state().step > first_step) training.save();
}

void add_settings(Record& record, const char* prefix, const Options& options) {
  for (const auto& [name, value] : options.values()) record.settings[prefix + name] = value;
}

void describe_training(const TrainJob& job, const Training& training, Record& record) {
  const TrainState& state = training.state();
  const Schedule& schedule = training.optimizer().schedule();
  record.steps = state.step;
  record.parameters = static_cast<double>(training.model().parameters().parameter_count());
  record.learning_rate = {
      {"0", schedule.learning_rate(0)},
      {"warmup", schedule.learning_rate(std::min(schedule.warmup(), schedule.steps() - 1))},
      {"last", schedule.learning_rate(schedule.steps() - 1)}};
  record.lengths = {
      {"min", static_cast<double>(state.shortest)},
      {"mean", static_cast<double>(state.tokens) / static_cast<double>(state.sequences)},
      {"max", static_cast<double>(state.longest)}};
  record.loss_curve = state.loss_curve;
  record.validation_curve = state.validation_curve;
  if (state.best_step >= 0) record.validation_accuracy_best = state.best_accuracy;
  if (training.tokens_here() > 0) record.tokens_per_s = tokens_per_s(training);
  record.metrics = job.task.counts();
  record.metrics["train_loss"] = state.loss_curve.back().loss;
  record.metrics["train_accuracy"] = state.loss_curve.back().accuracy;
  record.metrics["best_step"] = static_cast<double>(state.best_step);
}

/// Of sequences that the model wrote by itself: how many are right as a whole, and what each token
/// is worth given the right ones before. Says so where another variant does the cross attention.
void note_writing(const TrainJob& job, const Evaluation& best, Record& record) {
  record.metrics["test_sequence_accuracy"] = best.whole_accuracy;
  record.metrics["test_forced_accuracy"] = best.forced_accuracy;
  const Variant& across = cross_variant(job.variant);
  if (&across != &job.variant) record.metrics["cross_attention_by_" + across.name] = 1;
}

/// Scores the whole test split with the best and the last weights, and says whether that is
/// anything.
void score_test(const TrainJob& job, const Training& training, Record& record) {
  const TrainState& state = training.state();
  const Index size = job.task.size(Split::kTest);
  check(size > 0, "the task has no test samples");
  const Evaluation last = training.score(Split::kTest, size, training.last_values());
  if (!std::isfinite(last.loss)) {
    throw Error(fmt::format("the test loss is {} after step {}", last.loss, state.step),
                Failure::kDiverged);
  }
  const bool last_is_best = state.best_step < 0 || state.best_step == state.step;
  const Evaluation best =
      last_is_best ? last : training.score(Split::kTest, size, training.best_values());
  record.test_accuracy_best = best.accuracy;
  record.test_accuracy_last = last.accuracy;
  record.correct = bitmap_text(best.right);
  record.metrics["test_loss_best"] = best.loss;
  record.metrics["test_loss_last"] = last.loss;
  record.metrics["test_labels"] = static_cast<double>(best.scored());
  record.metrics["test_sequences"] = static_cast<double>(best.sequences());
  if (best.sequences() < best.scored()) record.sequence_starts = bitmap_text(best.starts);
  if (job.task.answer() == Answer::kSequence) note_writing(job, best, record);

  record.chance_accuracy = 1 / static_cast<double>(job.task.num_classes());
  const std::vector<Baseline> baselines = job.task.baselines();
  for (const Baseline& baseline : baselines) {
    record.shortcut_accuracy[baseline.name] = baseline.accuracy;
  }
  const Baseline constant =
      baselines.empty() ? Baseline{"chance", *record.chance_accuracy} : baselines.front();
  record.error = why_not_learned(best, constant);
  if (record.error.empty()) return;
  record.status = "NOT_LEARNED";
  if (job.task.answer() == Answer::kSequence) return;
  const std::string reach =
      why_out_of_reach({job.variant, job.variant_options}, training.model().setup(),
                       job.task.sample(Split::kTrain, state.longest_source));
  if (!reach.empty()) record.error += "; " + reach;
}

}  // namespace

std::vector<OptionSpec> train_options() {
  std::vector<OptionSpec> specs = optimizer_options();
  specs.push_back(integer_option("batch", 32, 1, 1 << 20, "sequences per step"));
  specs.push_back(integer_option("evaluate_every", 0, 0, 100'000'000,
                                 "steps between validations (0: ten in a training)"));
  specs.push_back(integer_option("evaluation_samples", 0, 0, 100'000'000,
                                 "validation samples scored each time (0: all)"));
  return specs;
}

Record train(const TrainJob& job, Workers& workers,
             const std::function<void(const TrainProgress&)>& progress) {
  fix_eigen_blocking();
  Training training(job, workers);
  run_steps(job, training, progress);

  Record record;
  record.kind = "train";
  record.variant = job.variant.name;
  record.options = job.variant_options.values();
  add_settings(record, "model.", job.model);
  add_settings(record, "train.", job.train);
  record.dataset_hash = job.task.dataset_hash();
  record.partial = job.task.partial();
  record.seed = job.seed;
  record.threads = workers.team().size();
  record.batch = job.train.integer("batch");
  describe_training(job, training, record);
  score_test(job, training, record);
  record.workspace_bytes =
      static_cast<double>(workers.team().size() * training.longest_footprint());
  if (!training.resumed()) record.wall_s = training.wall_s();
  return record;
}

}  // namespace arena
