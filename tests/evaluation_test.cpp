// Scores are of the samples alone: not of how many are scored at once, in which order and on how
// many threads.

#include "harness/train/evaluation.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/model_instance.hpp"
#include "tests/tiny_tasks.hpp"

namespace arena {
namespace {

constexpr Index kSamples = 11;
constexpr double kOrderTolerance = 1e-12;  // of a sum of doubles in another order

/// Some samples of another task, in any order.
class Picked final : public Task {
 public:
  Picked(const Task& inner, std::vector<Index> numbers)
      : inner_(inner), numbers_(std::move(numbers)) {}
  Answer answer() const override { return inner_.answer(); }
  Index vocab_size() const override { return inner_.vocab_size(); }
  Index num_classes() const override { return inner_.num_classes(); }
  Index max_len() const override { return inner_.max_len(); }
  bool pairs() const override { return inner_.pairs(); }
  Index size(Split) const override { return static_cast<Index>(numbers_.size()); }
  Sample sample(Split split, Index index) const override {
    return inner_.sample(split, numbers_[static_cast<std::size_t>(index)]);
  }
  std::string dataset_hash() const override { return "picked"; }
  std::vector<Baseline> baselines() const override { return {}; }
  std::string describe(const Sample&) const override { return ""; }

 private:
  const Task& inner_;
  std::vector<Index> numbers_;
};

struct Case {
  const char* name;
  const char* variant;
  std::unique_ptr<Task> (*make)();
};

template <Answer kAnswer, bool kPairs = false>
std::unique_ptr<Task> by_heart() {
  return std::make_unique<ByHeart>(kAnswer, kSamples, 90, kPairs);
}

std::unique_ptr<Task> graphs() {
  const TaskInfo& info = Registry<TaskInfo>::find("nodes");
  return info.make({}, Options(info.name, info.options, {{"graphs", std::to_string(kSamples)}}));
}

class Scores : public testing::TestWithParam<Case> {
 protected:
  Scores()
      : task_(GetParam().make()),
        it_(Registry<Variant>::find(GetParam().variant), *task_, {{"dim", "16"}}) {}

  /// Of the samples with these numbers, one after another.
  Evaluation scores(const std::vector<Index>& numbers, Index threads = 1) const {
    Workers workers(threads);
    const Picked picked(*task_, numbers);
    return evaluate(it_.model, it_.values(), picked, Split::kTest, picked.size(Split::kTest), 1,
                    workers.team());
  }

  std::vector<Index> all() const {
    std::vector<Index> numbers(static_cast<std::size_t>(kSamples));
    std::iota(numbers.begin(), numbers.end(), Index{0});
    return numbers;
  }

  std::unique_ptr<Task> task_;
  Instance it_;
};

INSTANTIATE_TEST_SUITE_P(
    All, Scores,
    testing::Values(Case{"label", "blocked", by_heart<Answer::kSequenceLabel>},
                    Case{"pair", "linear", by_heart<Answer::kSequenceLabel, true>},
                    Case{"positions", "local", by_heart<Answer::kPositionLabels>},
                    Case{"sequence", "blocked", by_heart<Answer::kSequence>},
                    Case{"nodes", "graph", graphs}),
    [](const auto& parameter) { return parameter.param.name; });

TEST_P(Scores, AreTheSameOnAnyNumberOfThreads) {
  const Evaluation one = scores(all());
  for (const Index threads : {2, 3, 16}) {
    const Evaluation many = scores(all(), threads);
    EXPECT_EQ(many.right, one.right);
    EXPECT_EQ(many.starts, one.starts);
    EXPECT_EQ(many.loss, one.loss);
    EXPECT_EQ(many.accuracy, one.accuracy);
    EXPECT_EQ(many.whole_accuracy, one.whole_accuracy);
    EXPECT_EQ(many.forced_accuracy, one.forced_accuracy);
  }
}

TEST_P(Scores, AreTheSameInBatchesOfAnySize) {
  const Evaluation together = scores(all());
  const std::vector<Index> numbers = all();
  for (const std::ptrdiff_t batch : {1, 4}) {
    std::vector<std::uint8_t> right;
    double loss = 0;
    for (auto begin = numbers.begin(); begin != numbers.end();) {
      const auto end = begin + std::min(batch, numbers.end() - begin);
      const Evaluation part = scores({begin, end});
      right.insert(right.end(), part.right.begin(), part.right.end());
      loss += part.loss * static_cast<double>(part.scored());
      begin = end;
    }
    EXPECT_EQ(right, together.right);
    const double mean = loss / static_cast<double>(together.scored());
    EXPECT_NEAR(mean, together.loss, kOrderTolerance * together.loss);
  }
}

TEST_P(Scores, AreTheSameInAnyOrder) {
  const Evaluation forwards = scores(all());
  std::vector<Index> numbers = all();
  std::ranges::reverse(numbers);
  const Evaluation backwards = scores(numbers, 2);
  EXPECT_EQ(backwards.accuracy, forwards.accuracy);
  EXPECT_EQ(backwards.whole_accuracy, forwards.whole_accuracy);
  EXPECT_EQ(backwards.forced_accuracy, forwards.forced_accuracy);
  EXPECT_NEAR(backwards.loss, forwards.loss, kOrderTolerance * forwards.loss);
}

TEST_P(Scores, SayWhereTheLabelsOfASequenceBegin) {
  std::vector<std::uint8_t> starts;
  Index sequences = 0;
  for (const Index i : all()) {
    const Index labels = count_scored(task_->sample(Split::kTest, i).labels);
    sequences += labels > 0 ? 1 : 0;
    for (Index label = 0; label < labels; ++label) starts.push_back(label == 0 ? 1 : 0);
  }
  const Evaluation scored = scores(all());
  EXPECT_EQ(scored.starts, starts);
  EXPECT_EQ(scored.sequences(), sequences);
}

/// What is drawn in scoring is drawn for each sample of a split by itself.
TEST(RandomScores, DoNotDependOnHowManyAreScored) {
  const ByHeart task(Answer::kSequenceLabel, kSamples, 90);
  const Instance it(Registry<Variant>::find("reformer"), task, {{"dim", "16"}});
  Workers one(1), three(3);
  const auto score = [&](Index count, Workers& workers) {
    return evaluate(it.model, it.values(), task, Split::kTest, count, 1, workers.team());
  };
  const Evaluation few = score(4, one), all = score(kSamples, three);
  EXPECT_TRUE(std::equal(few.right.begin(), few.right.end(), all.right.begin()));
  EXPECT_EQ(score(kSamples, one).loss, all.loss);
}

}  // namespace
}  // namespace arena
