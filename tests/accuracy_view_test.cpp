#include <gtest/gtest.h>

#include "results/table.hpp"
#include "tests/some_records.hpp"

namespace arena {
namespace {

/// A training whose first `right` of 1000 test examples are right.
Record scored(const std::string& variant, const std::string& task, std::uint64_t seed, int right) {
  Record r = training(variant, seed, right / 1000.0);
  r.id += task, r.task = task, r.metrics["test_labels"] = r.metrics["test_sequences"] = 1000;
  for (int first = 0; first < 1000; first += 4) {
    r.correct += "08cef"[std::clamp(right - first, 0, 4)];
  }
  return r;
}

std::string shown(const std::vector<Record>& records, const std::string& format) {
  return table(records, {.view = "accuracy", .format = format});
}

std::vector<Record> records() {
  std::vector<Record> all;
  for (const char* task : {"recall", "image", "listops"}) {
    for (const std::uint64_t seed : {0, 1}) {
      const int luck = seed == 0 ? 10 : -10;
      all.push_back(scored("dense", task, seed, 700 + luck));
      all.push_back(scored("linear", task, seed, 699 + luck));
      all.push_back(scored("local", task, seed, 110 + luck));
    }
  }
  all[2].status = "NOT_LEARNED", all[2].error = "11 % is not above 12.5 %";
  for (std::size_t i = 6; i < 12; ++i) all[i].partial = true;
  all[13].status = all[16].status = "UNSUPPORTED";
  all[13].test_accuracy_best.reset(), all[16].test_accuracy_best.reset();
  return all;
}

TEST(AccuracyView, TasksAreColumnsAndTheBestIsMarked) {
  EXPECT_EQ(
      shown(records(), "text"),
      R"(Accuracy: % of the test split, weights best on validation; mean ± standard deviation over seeds
variant          listops  image PARTIAL                             recall
dense       70.0 ± 1.4 *   70.0 ± 1.4 *                       70.0 ± 1.4 *
linear       UNSUPPORTED   69.9 ± 1.4 ≈                       69.9 ± 1.4 ≈
local       11.0 ± 1.4     11.0 ± 1.4    11.0 ± 1.4 (1 of 2 NOT_LEARNED)
(chance)          10.0           10.0                               10.0
(majority)        12.5           12.5                               12.5

Bold or *: best mean of its column. ≈: not to be told from it: the 95 % interval of the difference holds 0, by a bootstrap paired by seed and test sequence, over sequences and, with 5 seeds or more, over seeds.
Machine: Test CPU, 2 cores, x86-64-v3.
2 seeds: with fewer than 5, nothing is claimed about seeds.
PARTIAL: 6 records use a subset of their data set.
NOT_LEARNED: local on recall: 11 % is not above 12.5 %
)");
}

TEST(AccuracyView, Markdown) {
  const std::string text = shown(records(), "md");
  EXPECT_NE(text.find("| variant | listops | image PARTIAL | recall |\n|---|---:|---:|---:|\n"
                      "| dense | **70.0 ± 1.4** | **70.0 ± 1.4** | **70.0 ± 1.4** |\n"
                      "| linear | UNSUPPORTED | 69.9 ± 1.4 ≈ | 69.9 ± 1.4 ≈ |\n"
                      "| local | 11.0 ± 1.4 | 11.0 ± 1.4 | 11.0 ± 1.4 (1 of 2 NOT_LEARNED) |\n"
                      "| (chance) | 10.0 | 10.0 | 10.0 |\n| (majority) | 12.5 | 12.5 | 12.5 |\n"),
            std::string::npos)
      << text;
}

TEST(AccuracyView, Tex) {
  const std::string text = shown(records(), "tex");
  EXPECT_NE(text.find(R"(\begin{tabular}{lrrr}
\toprule
variant & listops & image PARTIAL & recall \\
\midrule
dense & \textbf{70.0 $\pm$ 1.4} & \textbf{70.0 $\pm$ 1.4} & \textbf{70.0 $\pm$ 1.4} \\
linear & UNSUPPORTED & 69.9 $\pm$ 1.4 $\approx$ & 69.9 $\pm$ 1.4 $\approx$ \\
local & 11.0 $\pm$ 1.4 & 11.0 $\pm$ 1.4 & 11.0 $\pm$ 1.4 (1 of 2 NOT\_LEARNED) \\
(chance) & 10.0 & 10.0 & 10.0 \\
(majority) & 12.5 & 12.5 & 12.5 \\
\bottomrule
)"),
            std::string::npos)
      << text;
}

TEST(AccuracyView, Csv) {
  const std::string text = shown(records(), "csv");
  EXPECT_NE(text.find("dense,70.0,1.4,best,70.0,1.4,best,70.0,1.4,,best\n"
                      "linear,UNSUPPORTED,,,69.9,1.4,tied,69.9,1.4,,tied\n"
                      "local,11.0,1.4,,11.0,1.4,,11.0,1.4,1 of 2 NOT_LEARNED,\n"
                      "(chance),10.0,,,10.0,,,10.0,,,\n"),
            std::string::npos)
      << text;
}

/// One more right answer than another is no better; with few examples nor are many more.
TEST(AccuracyView, WithoutBitmapsNothingIsTied) {
  std::vector<Record> all = records();
  for (Record& record : all) record.correct = "";
  EXPECT_EQ(shown(all, "text").find("69.9 ± 1.4 ≈"), std::string::npos);
}

TEST(AccuracyView, NothingIsBestWhereNothingWasLearned) {
  std::vector<Record> all{scored("dense", "recall", 0, 110), scored("local", "recall", 0, 109)};
  for (Record& record : all) record.status = "NOT_LEARNED";
  EXPECT_EQ(shown(all, "text").find('*'), std::string::npos);
  all[1].status = "OK";
  const std::string text = shown(all, "csv");
  EXPECT_NE(text.find("dense,11.0,NOT_LEARNED,tied\nlocal,10.9,,best\n"), std::string::npos)
      << text;
  EXPECT_EQ(shown({scored("dense", "recall", 0, 700)}, "text").find('*'), std::string::npos);
}

/// Where all tasks of an average are there, and over the seeds that all of them have.
TEST(AccuracyView, AveragesOverTheTasksOfLongRangeArena) {
  std::vector<Record> all;
  int right = 400;
  for (const char* task : {"pathfinder", "image", "retrieval", "text", "listops"}) {
    all.push_back(scored("dense", task, 0, right));
    all.push_back(scored("dense", task, 1, right + 20));
    all.push_back(scored("local", task, 0, 300));
    right += 50;
  }
  all.push_back(scored("local", "pathx", 0, 600));
  const std::string text = shown(all, "csv");
  EXPECT_NE(text.find("listops,listops deviation,listops mark,text,"), std::string::npos) << text;
  EXPECT_NE(text.find(",pathx,avg5,avg5 deviation,avg6\n"), std::string::npos) << text;
  EXPECT_NE(text.find(",-,51.0,1.4,-\n"), std::string::npos) << text;     // dense
  EXPECT_NE(text.find(",60.0,30.0,,35.0\n"), std::string::npos) << text;  // local
  EXPECT_NE(text.find("Never compare one with the other."), std::string::npos);
  all.erase(all.begin() + 2);  // local on pathfinder
  all[0].partial = true;
  EXPECT_EQ(shown(all, "csv").find("avg6"), std::string::npos);
  all.push_back(scored("dense", "text", 0, 500));
  all.back().id = "another length", all.back().task_label = "text-1024";
  EXPECT_EQ(shown(all, "csv").find("avg5"), std::string::npos);  // text is there twice
}

}  // namespace
}  // namespace arena
