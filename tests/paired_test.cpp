#include "results/paired.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/expect_error.hpp"
#include "tests/some_records.hpp"

namespace arena {
namespace {

std::vector<const Record*> pointers(const std::vector<Record>& records) {
  std::vector<const Record*> all;
  for (const Record& record : records) all.push_back(&record);
  return all;
}

Record scored(std::uint64_t seed, const std::string& correct, Index labels) {
  Record record = training("dense", seed, 0);
  record.correct = correct;
  record.metrics["test_labels"] = static_cast<double>(labels);
  return record;
}

std::string digits_of(const std::vector<bool>& right) {
  std::string digits;
  for (std::size_t i = 0; i < right.size(); i += 4) {
    int digit = 0;
    for (std::size_t b = i; b < i + 4; ++b) digit = 2 * digit + (b < right.size() && right[b]);
    digits += "0123456789abcdef"[digit];
  }
  return digits;
}

TEST(Paired, ReadsBitmaps) {
  EXPECT_EQ(right_examples("f1", "x"), (std::vector<std::uint64_t>{0xf100000000000000}));
  EXPECT_EQ(right_examples("00000000000000018", "x"),
            (std::vector<std::uint64_t>{1, 0x8000000000000000}));
  EXPECT_ERROR(right_examples("0g", "a record"), "a record: field 'correct'");
}

TEST(Paired, EachResampleDrawsAsManySequencesAsThereAre) {
  const SequenceResamples resamples(std::vector<Index>(70, 1), 50, RandomKey(1));
  const std::vector<std::uint64_t> all{~std::uint64_t{0}, ~std::uint64_t{0}};
  const std::vector<std::uint64_t> first_seven{std::uint64_t{0x7f} << 57, 0};
  double drawn = 0;
  for (int r = 0; r < resamples.count(); ++r) {
    EXPECT_EQ(resamples.drawn(r, all), 70);
    EXPECT_EQ(resamples.labels(r), 70);
    drawn += static_cast<double>(resamples.drawn(r, first_seven));
  }
  EXPECT_NEAR(drawn / 50, 7, 3 * std::sqrt(7 * 0.9 / 50));
}

TEST(Paired, LabelsOfASequenceAreDrawnTogether) {
  const SequenceResamples resamples(std::vector<Index>{63, 2, 5}, 50, RandomKey(1));
  const std::vector<std::uint64_t> one{1, 0}, its_other{0, std::uint64_t{1} << 63};
  const std::vector<std::uint64_t> last{0, std::uint64_t{0x1f} << 58};
  double drawn = 0;
  for (int r = 0; r < resamples.count(); ++r) {
    const Index times = resamples.drawn(r, one), of_last = resamples.drawn(r, last) / 5;
    EXPECT_EQ(resamples.drawn(r, its_other), times);
    EXPECT_EQ(resamples.labels(r), 63 * (3 - times - of_last) + 2 * times + 5 * of_last);
    drawn += static_cast<double>(times);
  }
  EXPECT_NEAR(drawn / 50, 1, 3 * std::sqrt(2.0 / 3 / 50));
}

/// Of one seed: the standard error of a mean of paired differences, sqrt((b + c - (b - c)^2 / n) /
/// n^2) with b and c examples that only one side has right (as in McNemar's test).
TEST(Paired, OfOneSeedIsAboutItsExamplesOnly) {
  std::vector<bool> first(1000, false), second(1000, false);
  for (std::size_t i = 0; i < 600; ++i) first[i] = true;
  for (std::size_t i = 30; i < 650; ++i) second[i] = true;
  const std::vector<Record> a{scored(3, digits_of(first), 1000)};
  const std::vector<Record> b{scored(3, digits_of(second), 1000)};
  const auto difference = PairedComparison(RandomKey(1), 4000)(pointers(a), pointers(b));
  ASSERT_TRUE(difference);
  EXPECT_NEAR(difference->value, 0.02, 1e-12);
  EXPECT_EQ(difference->seeds, 1);
  EXPECT_EQ(difference->examples, 1000);
  EXPECT_FALSE(difference->about_seeds());
  const double error = std::sqrt((80 - 0.4) / 1e6);
  EXPECT_NEAR(difference->interval.high - difference->value, 1.96 * error, 0.04 * 1.96 * error);
  EXPECT_NEAR(difference->p, 0.0250, 0.005);  // 2 (1 - Phi(2.242))
}

/// As many labels, a fifth as many sequences, whose labels are all right or all wrong: with fewer
/// independent differences the interval is as wide as if each sequence had but one label.
TEST(Paired, LabelsOfASequenceCountOnce) {
  std::vector<bool> first, second, starts, ones_first, ones_second;
  for (int i = 0; i < 400; ++i) {
    ones_first.push_back(i < 200), ones_second.push_back(i >= 15 && i < 220);
    for (int label = 0; label < 5; ++label) {
      first.push_back(ones_first.back()), second.push_back(ones_second.back());
      starts.push_back(label == 0);
    }
  }
  std::vector<Record> a{scored(3, digits_of(first), 2000)}, b{scored(3, digits_of(second), 2000)};
  const std::vector<Record> one_a{scored(3, digits_of(ones_first), 400)};
  const std::vector<Record> one_b{scored(3, digits_of(ones_second), 400)};
  PairedComparison compare(RandomKey(1));
  const auto apart = compare(pointers(a), pointers(b));
  a[0].sequence_starts = digits_of(starts);  // what one of two records says is true of both
  const auto together = compare(pointers(a), pointers(b));
  const auto single = compare(pointers(one_a), pointers(one_b));
  ASSERT_TRUE(apart && together && single);
  EXPECT_EQ(apart->sequences, 2000);
  EXPECT_EQ(together->sequences, 400);
  EXPECT_EQ(together->examples, 2000);
  EXPECT_DOUBLE_EQ(together->value, single->value);
  EXPECT_NEAR(together->interval.low, single->interval.low, 1e-12);
  EXPECT_NEAR(together->interval.high, single->interval.high, 1e-12);
  EXPECT_GT(together->interval.high - together->value, 2 * (apart->interval.high - apart->value));
  a[0].sequence_starts = "8" + std::string(499, '0');
  EXPECT_FALSE(compare(pointers(a), pointers(b)));  // one sequence says nothing about others
  a[0].sequence_starts = "88";
  EXPECT_ERROR(compare(pointers(a), pointers(b)), "'sequence_starts' has 2 digits");
}

TEST(Paired, OlderRecordsAreNamed) {
  std::vector<Record> all{scored(0, "ff00", 16), scored(1, "f000", 16), scored(2, "", 16)};
  EXPECT_NE(note_on_sequences(all).find("2 records do not say"), std::string::npos);
  for (Record& record : all) record.metrics["test_sequences"] = 16;
  EXPECT_EQ(note_on_sequences(all), "");
}

TEST(Paired, PairsSeedBySeed) {
  const std::vector<Record> a{scored(0, "ff00", 16), scored(1, "f000", 16), scored(9, "0000", 16)};
  const std::vector<Record> b{scored(1, "ff00", 16), scored(0, "ff00", 16), scored(2, "ffff", 16)};
  const auto difference = PairedComparison(RandomKey(1))(pointers(a), pointers(b));
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->seeds, 2);
  EXPECT_DOUBLE_EQ(difference->value, 4.0 / 32);
}

TEST(Paired, IdenticalAnswersDoNotDiffer) {
  const std::vector<Record> a{scored(0, "ff00", 16), scored(1, "f000", 16)};
  const auto difference = PairedComparison(RandomKey(1))(pointers(a), pointers(a));
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->value, 0);
  EXPECT_EQ(difference->p, 1);
  EXPECT_TRUE(difference->interval.holds(0));
}

TEST(Paired, NeedsTheSameExamples) {
  const std::vector<Record> a{scored(0, "ff00", 16)}, longer{scored(0, "ff000", 20)};
  std::vector<Record> other_data = a, without = a;
  other_data[0].dataset_hash = "other", without[0].correct = "";
  PairedComparison compare(RandomKey(1));
  for (const auto& b : {longer, other_data, without, {scored(1, "ff00", 16)}}) {
    EXPECT_FALSE(compare(pointers(a), pointers(b)));
    EXPECT_FALSE(compare(pointers(b), pointers(a)));
  }
}

/// Two variants that are equally good on average over all seeds and all examples: how often the
/// interval holds 0 when the seeds differ much, and when only the examples do.
TEST(Paired, IntervalsHoldTheTruthAsOftenAsTheySay) {
  constexpr Index kExamples = 300;
  constexpr int kTrials = 300;
  for (const double between_seeds : {0.05, 0.0}) {
    RandomStream random(RandomKey(21));
    PairedComparison compare(RandomKey(22), 400);
    int held = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::vector<double> ease(kExamples);  // the same for both variants
      for (double& value : ease) value = 0.6 * random.uniform() + 0.2;
      std::vector<Record> sides[2];
      for (auto& side : sides) {
        for (std::uint64_t seed = 0; seed < 5; ++seed) {
          const double luck = between_seeds * random.normal();
          std::vector<bool> right;
          for (const double value : ease) right.push_back(random.uniform() < value + luck);
          side.push_back(scored(seed, digits_of(right), kExamples));
        }
      }
      held += compare(pointers(sides[0]), pointers(sides[1]))->interval.holds(0) ? 1 : 0;
    }
    const double share = static_cast<double>(held) / kTrials;
    EXPECT_GE(share, 0.95 - 0.038) << between_seeds;  // three standard errors
    EXPECT_LE(share, 1.0) << between_seeds;
  }
}

/// Two variants that are equally good, of sequences of 1 to 8 labels which share their luck: how
/// often the interval holds 0, and how much too seldom it does where labels are taken as
/// independent.
TEST(Paired, IntervalsHoldTheTruthWhereLabelsShareASequence) {
  constexpr Index kSequences = 60;
  constexpr int kTrials = 300;
  RandomStream random(RandomKey(31));
  PairedComparison compare(RandomKey(32), 400);
  int held = 0, held_apart = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<bool> starts;
    for (Index s = 0; s < kSequences; ++s) {
      const Index labels = 1 + random.below(8);
      for (Index i = 0; i < labels; ++i) starts.push_back(i == 0);
    }
    std::vector<Record> sides[2];
    for (auto& side : sides) {
      std::vector<bool> right;
      double luck = 0;
      for (const bool start : starts) {
        if (start) luck = random.uniform() < 0.5 ? 0.15 : 0.85;
        right.push_back(random.uniform() < luck);
      }
      side.push_back(scored(0, digits_of(right), static_cast<Index>(right.size())));
    }
    held_apart += compare(pointers(sides[0]), pointers(sides[1]))->interval.holds(0) ? 1 : 0;
    for (auto& side : sides) side[0].sequence_starts = digits_of(starts);
    held += compare(pointers(sides[0]), pointers(sides[1]))->interval.holds(0) ? 1 : 0;
  }
  EXPECT_GE(held, (0.95 - 0.038) * kTrials);  // three standard errors
  EXPECT_LE(held, (0.95 + 0.038) * kTrials);
  EXPECT_LE(held_apart, 0.85 * kTrials);
}

}  // namespace
}  // namespace arena
