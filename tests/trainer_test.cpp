#include "harness/train/trainer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "harness/train/batch.hpp"
#include "harness/train/training.hpp"
#include "tests/tiny_tasks.hpp"

namespace arena {
namespace {

const OptionTexts kModel{
    {"dim", "16"}, {"heads", "2"}, {"hidden", "24"}, {"dropout", "0.1"}, {"head_hidden", "16"}};
const OptionTexts kTrain{{"steps", "12"}, {"batch", "8"}, {"warmup", "3"}, {"evaluate_every", "5"}};

const Variant& dense() {
  return Registry<Variant>::find("dense");
}

TrainJob job_for(const Variant& variant, const Task& task, const OptionTexts& train = kTrain,
                 const OptionTexts& model = kModel) {
  return {.variant = variant,
          .variant_options = Options(variant.name, variant.options, {}),
          .task = task,
          .model = Options("model", model_options(), model),
          .train = Options("train", train_options(), train),
          .seed = 3,
          .checkpoint = "",
          .stop = nullptr};
}

/// Sets a flag when its samples were asked for `count` times.
class StopsAfter final : public Task {
 public:
  StopsAfter(const Task& inner, Index count, std::atomic<bool>& stop)
      : inner_(inner), left_(count), stop_(stop) {}
  Answer answer() const override { return inner_.answer(); }
  Index vocab_size() const override { return inner_.vocab_size(); }
  Index num_classes() const override { return inner_.num_classes(); }
  Index max_len() const override { return inner_.max_len(); }
  Index size(Split split) const override { return inner_.size(split); }
  Sample sample(Split split, Index index) const override {
    if (--left_ == 0) stop_ = true;
    return inner_.sample(split, index);
  }
  std::string dataset_hash() const override { return inner_.dataset_hash(); }
  std::vector<Baseline> baselines() const override { return inner_.baselines(); }
  std::string describe(const Sample& sample) const override { return inner_.describe(sample); }

 private:
  const Task& inner_;
  mutable std::atomic<Index> left_;
  std::atomic<bool>& stop_;
};

class Trainer : public ::testing::Test {
 protected:
  Trainer() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("arena_trainer_") + info->name());
    std::filesystem::create_directories(folder_);
  }
  ~Trainer() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string bytes(const std::string& name) const {
    std::ifstream stream(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  static Record run(TrainJob job, Index threads, const std::string& checkpoint = "") {
    job.checkpoint = checkpoint;
    Workers workers(threads);
    return train(job, workers, {});
  }

  std::filesystem::path folder_;
};

void expect_same_results(const Record& a, const Record& b) {
  EXPECT_EQ(a.correct, b.correct);
  EXPECT_EQ(a.metrics, b.metrics);
  EXPECT_EQ(a.test_accuracy_best, b.test_accuracy_best);
  EXPECT_EQ(a.test_accuracy_last, b.test_accuracy_last);
  EXPECT_EQ(a.validation_accuracy_best, b.validation_accuracy_best);
  EXPECT_EQ(a.lengths, b.lengths);
  EXPECT_EQ(a.status, b.status);
  ASSERT_EQ(a.loss_curve.size(), b.loss_curve.size());
  for (std::size_t i = 0; i < a.loss_curve.size(); ++i) {
    EXPECT_EQ(a.loss_curve[i].loss, b.loss_curve[i].loss);
    EXPECT_EQ(a.loss_curve[i].accuracy, b.loss_curve[i].accuracy);
  }
}

TEST_F(Trainer, LearnsEightExamplesByHeart) {
  for (const ByHeart& task :
       {ByHeart(Answer::kSequenceLabel), ByHeart(Answer::kPositionLabels),
        ByHeart(Answer::kSequenceLabel, 8, 12, true), ByHeart(Answer::kSequence)}) {
    OptionTexts options = kTrain;
    options["steps"] = "150";
    options["learning_rate"] = "1e-2";
    OptionTexts model = kModel;
    model["dropout"] = "0";
    const Record record = run(job_for(dense(), task, options, model), 1);
    EXPECT_EQ(record.test_accuracy_best, 1);
    EXPECT_EQ(record.test_accuracy_last, 1);
    EXPECT_EQ(record.status, "OK");
    EXPECT_EQ(record.metrics.at("test_sequences"), 8);
    EXPECT_EQ(record.sequence_starts.empty(), task.answer() == Answer::kSequenceLabel);
  }
}

TEST_F(Trainer, GivesTheSameBytesOnAnyNumberOfThreads) {
  for (const ByHeart& task :
       {ByHeart(Answer::kSequenceLabel, 20, 90), ByHeart(Answer::kPositionLabels, 20, 90),
        ByHeart(Answer::kSequenceLabel, 20, 90, true), ByHeart(Answer::kSequence, 20, 20)}) {
    const Record one = run(job_for(dense(), task), 1, path("1"));
    const Record two = run(job_for(dense(), task), 2, path("2"));
    const Record three = run(job_for(dense(), task), 3, path("3"));
    EXPECT_GT(bytes("1").size(), 1000U);
    EXPECT_TRUE(bytes("1") == bytes("2"));
    EXPECT_TRUE(bytes("1") == bytes("3"));
    expect_same_results(one, two);
    expect_same_results(one, three);
    EXPECT_EQ(*one.workspace_bytes * 3, *three.workspace_bytes);
    for (const char* name : {"1", "2", "3"}) std::filesystem::remove(path(name));
  }
}

TEST_F(Trainer, GivesTheSameBytesWhenAShardGetsTheWholeTeam) {
  const ByHeart task(Answer::kSequenceLabel, 5, 200);
  OptionTexts options = kTrain;
  options["batch"] = "2";
  run(job_for(dense(), task, options), 1, path("1"));
  run(job_for(dense(), task, options), 3, path("3"));
  EXPECT_TRUE(bytes("1") == bytes("3"));
}

TEST_F(Trainer, UpdatesBuffersFromTheStatisticsOfTheWholeBatch) {
  const ByHeart task(Answer::kSequenceLabel, 20, 40);
  run(job_for(counting_variant(), task), 1, path("1"));
  run(job_for(counting_variant(), task), 3, path("3"));
  EXPECT_TRUE(bytes("1") == bytes("3"));
  Workers workers(1);
  TrainJob job = job_for(counting_variant(), task);
  Training training(job, workers);
  for (Index step = 1; step <= 3; ++step) {
    const Index tokens_before = training.state().tokens;
    training.step();
    const auto tokens = static_cast<float>(training.state().tokens - tokens_before);
    const ModelValues values = training.last_values();
    for (const ParameterLayout::Entry& entry : training.model().buffers().entries()) {
      const auto offset = static_cast<std::size_t>(entry.slice.offset);
      EXPECT_EQ(values.buffers[offset + 1], static_cast<float>(step)) << entry.name;
      EXPECT_EQ(values.buffers[offset + 2], tokens) << entry.name;
      EXPECT_NE(values.buffers[offset], 1) << entry.name;
    }
  }
  EXPECT_EQ(training.model().buffers().entries().size(), 4U);  // two layers of two heads
}

TEST_F(Trainer, StoppedAndResumedEqualsUninterrupted) {
  const ByHeart task(Answer::kPositionLabels, 20, 60);
  const Record whole = run(job_for(dense(), task), 2, path("whole"));
  for (const Index samples : {1, 20, 60, 110}) {
    std::atomic<bool> stop = false;
    const StopsAfter stopping(task, samples, stop);
    TrainJob job = job_for(dense(), stopping);
    job.stop = &stop;
    EXPECT_THROW(run(job, 1, path("parts")), Stopped) << samples;
    EXPECT_FALSE(bytes("parts") == bytes("whole"));
    const Record resumed = run(job_for(dense(), task), 3, path("parts"));
    EXPECT_TRUE(bytes("parts") == bytes("whole")) << samples;
    expect_same_results(whole, resumed);
    std::filesystem::remove(path("parts"));
  }
}

TEST_F(Trainer, RandomFeaturesAreRedrawnAndResumed) {
  const ByHeart task(Answer::kSequenceLabel, 20, 60);
  const Variant& performer = Registry<Variant>::find("performer");
  const auto job_of = [&](const Task& samples, const std::string& redraw) {
    TrainJob job = job_for(performer, samples);
    job.variant_options =
        Options(performer.name, performer.options, {{"features", "8"}, {"redraw", redraw}});
    return job;
  };
  const Record whole = run(job_of(task, "4"), 2, path("whole"));
  std::atomic<bool> stop = false;
  const StopsAfter stopping(task, 60, stop);
  TrainJob job = job_of(stopping, "4");
  job.stop = &stop;
  EXPECT_THROW(run(job, 1, path("parts")), Stopped);
  const Record resumed = run(job_of(task, "4"), 3, path("parts"));
  EXPECT_TRUE(bytes("parts") == bytes("whole"));
  expect_same_results(whole, resumed);
  const Record fixed = run(job_of(task, "0"), 2), late = run(job_of(task, "12"), 2);
  EXPECT_NE(fixed.loss_curve.back().loss, whole.loss_curve.back().loss);
  EXPECT_EQ(fixed.loss_curve.back().loss, late.loss_curve.back().loss) << "drawn after the last";
}

TEST_F(Trainer, FinishedCheckpointScoresTheSame) {
  const ByHeart task(Answer::kSequenceLabel, 20, 30);
  const Record first = run(job_for(dense(), task), 2, path("c"));
  const std::string saved = bytes("c");
  const Record again = run(job_for(dense(), task), 1, path("c"));
  expect_same_results(first, again);
  EXPECT_FALSE(again.wall_s.has_value());
  EXPECT_TRUE(bytes("c") == saved);
}

TEST_F(Trainer, CheckpointOfAnotherSeedIsRefused) {
  const ByHeart task(Answer::kSequenceLabel);
  run(job_for(dense(), task), 1, path("c"));
  TrainJob other = job_for(dense(), task);
  other.seed = 4;
  EXPECT_THROW(run(other, 1, path("c")), Error);
}

TEST_F(Trainer, DivergesWithAnErrorOfItsOwnKindThatNamesTheStep) {
  const ByHeart task(Answer::kSequenceLabel);
  OptionTexts options = kTrain;
  options["learning_rate"] = "100";
  options["weight_decay"] = "10";
  options["schedule"] = "constant";
  options["warmup"] = "0";
  const auto diverge_within = [&](const std::string& steps) -> std::string {
    options["steps"] = steps;
    try {
      run(job_for(dense(), task, options), 1);
    } catch (const Error& error) {
      EXPECT_EQ(error.failure(), Failure::kDiverged);
      return error.what();
    }
    return "";
  };
  const std::string message = diverge_within("200");
  const std::string before = " at step ";
  const std::size_t place = message.find(before);
  ASSERT_NE(place, std::string::npos) << message;
  const std::string step = std::to_string(std::stoi(message.substr(place + before.size())));
  // Without the step that saw it, what is left scores the test samples with such weights.
  EXPECT_TRUE(diverge_within(step).ends_with("after step " + step)) << step;
}

TEST_F(Trainer, SaysWhenNothingWasLearned) {
  const ByHeart task(Answer::kSequenceLabel);
  OptionTexts options = kTrain;
  options["learning_rate"] = "0";
  const Record record = run(job_for(dense(), task, options), 1);
  EXPECT_EQ(record.status, "NOT_LEARNED");
  EXPECT_EQ(record.error, fmt::format("test accuracy {:.2f} % is not above the 30.00 % of the best "
                                      "constant (majority) by 3 standard errors of 16.20 % (8 "
                                      "labels)",
                                      100 * *record.test_accuracy_best));
  EXPECT_EQ(record.correct.size(), 2U);
  EXPECT_EQ(record.settings.at("train.batch"), OptionValue(Index{8}));
  EXPECT_EQ(record.settings.at("model.dim"), OptionValue(Index{16}));
  EXPECT_EQ(record.learning_rate.at("last"), 0);
}

TEST_F(Trainer, WritesSequencesAndScoresThemAsAWhole) {
  const TaskInfo& info = Registry<TaskInfo>::find("transduce");
  const auto task =
      info.make({}, Options(info.name, info.options, {{"max_len", "4"}, {"symbols", "6"}}));
  const OptionTexts options{
      {"steps", "300"}, {"batch", "32"}, {"learning_rate", "5e-3"}, {"evaluation_samples", "100"}};
  OptionTexts model = kModel;
  model["dropout"] = "0";
  model["layers"] = "1";
  const Record record = run(job_for(Registry<Variant>::find("local"), *task, options, model), 1);
  EXPECT_EQ(record.status, "OK") << record.error;
  EXPECT_GT(*record.test_accuracy_best, record.shortcut_accuracy.at("majority") + 0.2);
  // Both know the whole written so far; only one knows that it was right.
  EXPECT_GE(record.metrics.at("test_forced_accuracy"), *record.test_accuracy_best);
  EXPECT_LT(record.metrics.at("test_sequence_accuracy"), *record.test_accuracy_best);
  EXPECT_EQ(record.metrics.at("cross_attention_by_blocked"), 1);
}

TEST_F(Trainer, SaysWhenAPatternHidesWhatIsAsked) {
  const ByHeart task(Answer::kPositionLabels, 8, 12);
  OptionTexts options = kTrain;
  options["learning_rate"] = "0";
  const Variant& local = Registry<Variant>::find("local");
  TrainJob job = job_for(local, task, options);
  job.variant_options = Options(local.name, local.options, {{"window", "2"}});
  const Record record = run(job, 1);
  EXPECT_EQ(record.status, "NOT_LEARNED");
  // Of the longest positions 0, 2, ... 10 are scored: 0 reaches 0 to 4, 4 reaches 0 to 8.
  const std::string reason =
      "; through its pattern a scored position reaches only 5 to 9 of 12 positions in 2 layers";
  EXPECT_TRUE(record.error.ends_with(reason)) << record.error;
}

TEST(EpochOrder, SeesEverySampleOncePerEpochInAnotherOrder) {
  EpochOrder order(RandomKey(1), 50);
  std::vector<Index> first, second;
  for (Index p = 0; p < 50; ++p) first.push_back(order.at(p));
  for (Index p = 50; p < 100; ++p) second.push_back(order.at(p));
  EXPECT_NE(first, second);
  EXPECT_EQ(EpochOrder(RandomKey(1), 50).at(73), second[23]);
  std::ranges::sort(first);
  std::ranges::sort(second);
  EXPECT_EQ(first, second);
  for (Index i = 0; i < 50; ++i) EXPECT_EQ(first[static_cast<std::size_t>(i)], i);
}

TEST(ShardCount, DependsOnBatchAndGradientOnly) {
  EXPECT_EQ(shard_count(4, 1000), 4);
  EXPECT_EQ(shard_count(32, 1000), 16);
  EXPECT_EQ(shard_count(32, Index{2} << 20), 4);  // 8 MiB of gradient
  EXPECT_EQ(shard_count(32, Index{1} << 30), 1);
}

TEST(Bitmap, WritesFirstExampleFirst) {
  EXPECT_EQ(bitmap_text(std::vector<std::uint8_t>{1, 0, 0, 0, 0, 1}), "84");
  EXPECT_EQ(bitmap_text({}), "");
}

}  // namespace
}  // namespace arena
