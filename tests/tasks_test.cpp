// What holds for every task of the registry, and what is particular to recall.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "expect_error.hpp"
#include "harness/core/hash.hpp"
#include "harness/core/team.hpp"
#include "small_data.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

constexpr Index kLookedAt = 500;  // samples of a split

/// Data of a size that a test can look at: a task that reads a data set gets a tiny part of it, one
/// that makes images makes few of them.
void make_small(const TaskInfo& info, OptionTexts& options) {
  const auto has = [&](const std::string& option) {
    return std::ranges::count(info.options, option, &OptionSpec::name) > 0;
  };
  if (has("examples")) {
    options["examples"] = info.name == "pathx" ? "100" : "1000";
  } else if (has("partial")) {
    options["partial"] = "true";
  }
}

std::unique_ptr<Task> make_task(const std::string& text) {
  NamedOptions named = parse_named(text);
  const TaskInfo& info = Registry<TaskInfo>::find(named.name);
  make_small(info, named.options);
  return info.make({.data_dir = small_data_dir()},
                   Options(named.name, info.options, named.options));
}

Index length_of(const Sample& sample) {
  return sample.features ? sample.features->rows() : static_cast<Index>(sample.tokens.size());
}

std::uint64_t hash_of(const Sample& sample) {
  std::uint64_t hash = fnv1a(std::span<const std::int32_t>(sample.tokens));
  hash = fnv1a(std::span<const std::int32_t>(sample.second), hash);
  if (!sample.features) return hash;
  return fnv1a(std::span<const float>(sample.features->data(),
                                      static_cast<std::size_t>(sample.features->size())),
               hash);
}

/// What a split may not share with another: samples, or of graphs the nodes that are scored.
std::vector<std::uint64_t> scored_hashes(const Task& task, const Sample& sample) {
  const std::uint64_t hash = hash_of(sample);
  if (task.answer() != Answer::kNodeLabels) return {hash};
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    if (sample.labels[i] != kNotScored) hashes.push_back(fnv1a(std::to_string(i), hash));
  }
  return hashes;
}

Index looked_at(const Task& task, Split split) {
  return std::min(kLookedAt, task.size(split));
}

constexpr std::array kSplits = {Split::kTrain, Split::kValidation, Split::kTest};

class Tasks : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Registered, Tasks, testing::ValuesIn(Registry<TaskInfo>::names()));

TEST_P(Tasks, TokensLabelsAndLengthsAreInRange) {
  const auto task = make_task(GetParam());
  for (const Split split : kSplits) {
    ASSERT_GT(task->size(split), 0);
    for (Index i = 0; i < looked_at(*task, split); ++i) {
      const Sample sample = task->sample(split, i);
      ASSERT_GE(length_of(sample), 1);
      ASSERT_LE(length_of(sample), task->max_len());
      for (const auto token : sample.tokens) ASSERT_TRUE(token >= 0 && token < task->vocab_size());
      Index scored = 0;
      for (const auto label : sample.labels) {
        ASSERT_TRUE(label == kNotScored || (label >= 0 && label < task->num_classes())) << label;
        scored += label == kNotScored ? 0 : 1;
      }
      ASSERT_GE(scored, 1);
      if (task->answer() == Answer::kSequenceLabel) {
        ASSERT_EQ(sample.labels.size(), 1U);
      } else if (task->answer() == Answer::kSequence) {
        ASSERT_LE(static_cast<Index>(sample.labels.size()), task->max_len() + 1);
        ASSERT_EQ(scored, static_cast<Index>(sample.labels.size()));
        ASSERT_EQ(std::ranges::find(sample.labels, task->num_classes() - 1),
                  sample.labels.end() - 1);
      } else {
        ASSERT_EQ(static_cast<Index>(sample.labels.size()), length_of(sample));
      }
    }
  }
}

TEST_P(Tasks, TheSameOptionsGiveTheSameDataInAnyOrderOnAnyThread) {
  const auto first = make_task(GetParam());
  const auto second = make_task(GetParam());
  EXPECT_EQ(first->dataset_hash(), second->dataset_hash());
  EXPECT_EQ(first->dataset_hash().size(), 16U);
  const Index count = std::min(Index{200}, first->size(Split::kTrain));
  std::vector<Sample> drawn(static_cast<std::size_t>(count));
  Workers workers(3);
  workers.team().for_each(count, [&](Index i, const Team&) {
    drawn[static_cast<std::size_t>(i)] = first->sample(Split::kTrain, i);
  });
  for (Index i = count - 1; i >= 0; --i) {
    const Sample again = second->sample(Split::kTrain, i);
    ASSERT_EQ(again.tokens, drawn[static_cast<std::size_t>(i)].tokens);
    ASSERT_EQ(again.second, drawn[static_cast<std::size_t>(i)].second);
    ASSERT_EQ(again.labels, drawn[static_cast<std::size_t>(i)].labels);
  }
}

void expect_disjoint_splits(const Task& task) {
  std::array<std::set<std::uint64_t>, 3> seen;
  for (const Split split : kSplits) {
    for (Index i = 0; i < looked_at(task, split); ++i) {
      for (const std::uint64_t hash : scored_hashes(task, task.sample(split, i))) {
        for (const Split other : kSplits) {
          const bool elsewhere = seen[static_cast<std::size_t>(other)].contains(hash);
          ASSERT_FALSE(other != split && elsewhere) << "sample " << i;
        }
        seen[static_cast<std::size_t>(split)].insert(hash);
      }
    }
    EXPECT_GT(seen[static_cast<std::size_t>(split)].size(), 1U);
  }
}

TEST_P(Tasks, SplitsAreDisjoint) {
  expect_disjoint_splits(*make_task(GetParam()));
}

TEST(ListopsTask, ShortExpressionsAreDisjointToo) {
  // So few that chance alone would not keep them apart.
  expect_disjoint_splits(*make_task("listops[min_len=2,max_len=8]"));
}

TEST_P(Tasks, AnotherDataSeedGivesOtherData) {
  const auto& options = Registry<TaskInfo>::find(GetParam()).options;
  if (std::ranges::count(options, "data_seed", &OptionSpec::name) == 0)
    GTEST_SKIP() << "from files";
  const auto zero = make_task(GetParam());
  const auto one = make_task(GetParam() + "[data_seed=1]");
  EXPECT_NE(zero->dataset_hash(), one->dataset_hash());
  Index equal = 0;
  for (Index i = 0; i < std::min(Index{100}, zero->size(Split::kTest)); ++i) {
    equal += zero->sample(Split::kTest, i).tokens == one->sample(Split::kTest, i).tokens ? 1 : 0;
  }
  EXPECT_EQ(equal, 0);
}

TEST_P(Tasks, EveryClassOccursInTraining) {
  const auto task = make_task(GetParam());
  std::vector<Index> counts(static_cast<std::size_t>(task->num_classes()), 0);
  Index scored = 0;
  for (Index i = 0; i < looked_at(*task, Split::kTrain); ++i) {
    for (const auto label : task->sample(Split::kTrain, i).labels) {
      if (label == kNotScored) continue;
      ++counts[static_cast<std::size_t>(label)];
      ++scored;
    }
  }
  fmt::print("{}: class shares in training", GetParam());
  for (const Index count : counts) {
    fmt::print(" {:.3f}", static_cast<double>(count) / static_cast<double>(scored));
    EXPECT_GT(count, 0);
  }
  fmt::print("\n");
}

TEST_P(Tasks, BaselinesAreScores) {
  const auto task = make_task(GetParam());
  const std::vector<Baseline> baselines = task->baselines();
  ASSERT_FALSE(baselines.empty());
  EXPECT_EQ(baselines.front().name, "majority");
  EXPECT_GE(baselines.front().accuracy, 1.0 / static_cast<double>(task->num_classes()));
  for (const Baseline& baseline : baselines) {
    EXPECT_GT(baseline.accuracy, 0) << baseline.name;
    EXPECT_LT(baseline.accuracy, 1) << baseline.name;
    fmt::print("{}: {} {:.3f}\n", GetParam(), baseline.name, baseline.accuracy);
  }
}

TEST_P(Tasks, DescribeASampleInAFewLines) {
  const auto task = make_task(GetParam());
  const std::string text = task->describe(task->sample(Split::kTrain, 0));
  EXPECT_FALSE(text.empty());
  EXPECT_LT(text.size(), 2000U);
}

TEST_P(Tasks, RefuseUnknownOptions) {
  EXPECT_ERROR(make_task(GetParam() + "[no_such_option=1]"),
               GetParam() + ": unknown option 'no_such_option'");
}

TEST(Tasks, AreTheFilesOfTheirFolder) {
  std::set<std::string> stems;
  for (const auto& entry : std::filesystem::directory_iterator(ARENA_SOURCE_DIR "/tasks")) {
    if (entry.path().extension() == ".cpp") stems.insert(entry.path().stem().string());
  }
  const std::vector<std::string> names = Registry<TaskInfo>::names();
  EXPECT_EQ(stems, std::set<std::string>(names.begin(), names.end()));
}

TEST(Tasks, SplitOfAHashHasEightOneOneTenths) {
  constexpr std::uint64_t kTenth = ~std::uint64_t{0} / 10;
  EXPECT_EQ(split_of_hash(0), Split::kTrain);
  EXPECT_EQ(split_of_hash(8 * kTenth - (std::uint64_t{1} << 33)), Split::kTrain);
  EXPECT_EQ(split_of_hash(8 * kTenth + (std::uint64_t{1} << 33)), Split::kValidation);
  EXPECT_EQ(split_of_hash(9 * kTenth + (std::uint64_t{1} << 33)), Split::kTest);
  EXPECT_EQ(split_of_hash(~std::uint64_t{0}), Split::kTest);
}

TEST(Recall, EachQueryAsksForTheValueBehindItsKey) {
  constexpr std::int32_t kKeys = 12;
  constexpr std::int32_t kFiller = kKeys + 5;
  const auto task = make_task("recall[pairs=6,keys=12,values=5,gap=3,queries=4]");
  EXPECT_EQ(task->max_len(), 6 * 2 + 3 + 4);
  EXPECT_EQ(task->vocab_size(), 12 + 5 + 1);
  EXPECT_EQ(task->num_classes(), 5);
  for (Index i = 0; i < 500; ++i) {
    const Sample sample = task->sample(Split::kValidation, i);
    ASSERT_EQ(sample.tokens.size(), 19U);
    std::map<std::int32_t, std::int32_t> value_of;
    for (std::size_t p = 0; p < 12; p += 2) {
      ASSERT_LT(sample.tokens[p], kKeys);
      ASSERT_TRUE(value_of.emplace(sample.tokens[p], sample.tokens[p + 1] - kKeys).second);
    }
    std::set<std::int32_t> asked;
    for (std::size_t j = 0; j < 19; ++j) {
      if (j < 15) {
        ASSERT_EQ(sample.labels[j], kNotScored);
        ASSERT_EQ(sample.tokens[j] == kFiller, j >= 12);
      } else {
        ASSERT_EQ(sample.labels[j], value_of.at(sample.tokens[j]));
        ASSERT_TRUE(asked.insert(sample.tokens[j]).second) << "a key is asked twice";
      }
    }
  }
}

TEST(Recall, AsksForAllPairsUnlessToldOtherwise) {
  EXPECT_EQ(make_task("recall[pairs=3]")->max_len(), 3 * 2 + 20 + 3);
  EXPECT_EQ(make_task("recall[pairs=3,queries=1]")->max_len(), 3 * 2 + 20 + 1);
  EXPECT_ERROR(make_task("recall[pairs=3,queries=4]"), "recall: queries=4 is more than pairs=3");
  EXPECT_ERROR(make_task("recall[pairs=20]"), "recall: pairs=20 is more than keys=16");
}

TEST(Recall, RefusesTooFewDifferentSequences) {
  EXPECT_ERROR(make_task("recall[pairs=1,keys=1,values=2]"), "fewer than 1000 different sequences");
  EXPECT_EQ(make_task("recall[pairs=2,keys=16,values=16]")->max_len(), 26);
}

TEST(Recall, BaselinesAreWhatTheyMustBe) {
  const auto task = make_task("recall[pairs=4,keys=16,values=8]");
  const std::vector<Baseline> baselines = task->baselines();
  const double error = std::sqrt(0.125 * 0.875 / (2000 * 4));
  EXPECT_NEAR(baselines[0].accuracy, 0.125, 4 * error);
  // The commonest of 4 values out of 8 behind all queries: E[largest count] / 4, by enumeration.
  double expected = 0;
  for (int draw = 0; draw < 8 * 8 * 8 * 8; ++draw) {
    std::array<int, 8> counts{};
    for (int p = 0, rest = draw; p < 4; ++p, rest /= 8)
      ++counts[static_cast<std::size_t>(rest % 8)];
    expected += *std::ranges::max_element(counts) / 4.0 / 4096;
  }
  EXPECT_EQ(baselines[1].name, "commonest value");
  EXPECT_NEAR(baselines[1].accuracy, expected, 4 * 0.15 / std::sqrt(2000.0));
}

TEST(Transduce, WritesTheSequenceAsItsKindSays) {
  for (const std::string kind : {"copy", "reverse", "sort"}) {
    const auto task = make_task("transduce[max_len=9,min_len=3,symbols=5,kind=" + kind + "]");
    EXPECT_EQ(task->max_len(), 9);
    EXPECT_EQ(task->num_classes(), 6);
    std::set<std::size_t> lengths;
    for (Index i = 0; i < 300; ++i) {
      const Sample sample = task->sample(Split::kTest, i);
      lengths.insert(sample.tokens.size());
      std::vector<std::int32_t> expected = sample.tokens;
      if (kind == "reverse") expected.assign(sample.tokens.rbegin(), sample.tokens.rend());
      if (kind == "sort") std::stable_sort(expected.begin(), expected.end());
      expected.push_back(5);
      ASSERT_EQ(sample.labels, expected) << kind;
    }
    EXPECT_EQ(lengths, (std::set<std::size_t>{3, 4, 5, 6, 7, 8, 9}));
  }
}

TEST(Transduce, SaysWhatDoesNotFit) {
  EXPECT_ERROR(make_task("transduce[min_len=33]"), "transduce: min_len=33 is more than max_len=32");
  EXPECT_ERROR(make_task("transduce[max_len=9,symbols=2]"), "too few for three splits");
}

TEST(Transduce, RepeatingTheSymbolBeforeIsGoodForSortedAnswersOnly) {
  const double copied = make_task("transduce")->baselines()[1].accuracy;
  const double sorted = make_task("transduce[kind=sort]")->baselines()[1].accuracy;
  EXPECT_NEAR(copied, 1 / 17.0, 0.01);  // 15.5 pairs of 17.5 labels, one of 16 alike
  EXPECT_GT(sorted, 0.4);
}

}  // namespace
}  // namespace arena
