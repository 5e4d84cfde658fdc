#include <gtest/gtest.h>

#include "results/published_lra.hpp"
#include "results/statistics.hpp"
#include "results/table.hpp"
#include "tests/some_records.hpp"

namespace arena {
namespace {

/// The averages that the paper and those after it print, from their own figures.
TEST(LraView, PublishedFiguresGiveThePublishedAverages) {
  const auto average = [](std::string_view setup, std::string_view model) {
    for (const PublishedAccuracy& row : published_accuracies()) {
      if (row.setup == setup && row.model == model) return mean(std::span(row.percent).first(5));
    }
    return 0.0;
  };
  EXPECT_NEAR(average("LRA", "Transformer"), 54.39, 0.005);
  EXPECT_NEAR(average("LRA", "Local"), 46.06, 0.005);
  EXPECT_NEAR(average("LRA", "BigBird"), 55.01, 0.005);
  EXPECT_NEAR(average("LRA", "Performer"), 51.41, 0.005);
  EXPECT_NEAR(average("Nyströmformer", "Nyströmformer"), 58.95, 0.006);
  EXPECT_NEAR(average("Skyformer", "Skyformer"), 59.39, 0.02);
  EXPECT_NEAR(average("xformers", "Standard"), 57.69, 0.005);
  EXPECT_NEAR(average("FlashAttention", "Transformer"), 59.3, 0.25);
}

TEST(LraView, PutsWhatWasMeasuredBesideWhatWasPublished) {
  std::vector<Record> all;
  double accuracy = 0.3;
  for (const char* task : {"listops", "text", "retrieval", "image", "pathfinder"}) {
    all.push_back(training("dense", 0, accuracy += 0.1));
    all.back().task = task, all.back().id += task;
  }
  all.back().partial = true;
  all.push_back(timing("local", 1024, 500));
  all.back().scope = "step", all.back().rss_peak_bytes = 2e9;
  const std::string text = table(all, {.view = "lra", .format = "csv"});
  EXPECT_NE(text.find("exact attention,dense,here,40.0,50.0,60.0,70.0,80.0,PARTIAL,-,60.0,-\n"),
            std::string::npos)
      << text;
  EXPECT_NE(
      text.find("exact attention,Transformer,LRA,36.37,64.27,57.46,42.44,71.40,,FAIL,54.39,-\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find(",here,2.00,-,-,-,-,-,-,-,2.00,-,-,-\n"), std::string::npos) << text;
  EXPECT_NE(
      text.find("local,Local,LRA,9.20,8.40,7.40,7.40,1.1,1.7,3.2,5.3,0.420,0.760,1.06,1.37\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("# Skyformer: Chen et al. 2021"), std::string::npos) << text;
}

/// The factors that the paper prints, and ours from what was timed side by side: against dense, or
/// without it blocked.
TEST(LraView, TellsSpeedRelativeToExactAttention) {
  std::vector<Record> all{timing("dense", 4096, 1000, "a"), timing("blocked", 4096, 500, "a"),
                          timing("local", 4096, 250, "a"),  timing("blocked", 1024, 90, "b"),
                          timing("local", 1024, 45, "b"),   timing("local", 2048, 90, "c")};
  for (Record& record : all) record.scope = "step";
  const std::string text = table(all, {.view = "lra", .format = "csv"});
  EXPECT_NE(text.find(",steps/s 4K,x exact 1K,x exact 2K,x exact 3K,x exact 4K,GB 1K,"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(",here,22.2,11.1,-,4.00,2.00,-,-,4.00,"), std::string::npos) << text;
  EXPECT_NE(text.find(",here,11.1,-,-,2.00,1.00,-,-,2.00,"), std::string::npos) << text;
  EXPECT_NE(text.find(",here,-,-,-,1.00,-,-,-,1.00,"), std::string::npos) << text;
  for (const char* factors : {"Transformer,LRA,8.10,4.90,2.30,1.40,1.0,1.0,1.0,1.0,",
                              "Linformer,LRA,9.30,9.10,8.50,7.70,1.1,1.9,3.7,5.5,",
                              "Reformer,LRA,4.40,2.20,1.50,1.10,0.5,0.4,0.7,0.8,",
                              "Performer,LRA,9.50,9.40,8.70,8.00,1.2,1.9,3.8,5.7,"}) {
    EXPECT_NE(text.find(factors), std::string::npos) << factors << text;
  }
}

TEST(LraView, AShorterTaskSaysSoAndCountsInNoAverage) {
  std::vector<Record> all;
  for (const char* task : {"listops", "text", "retrieval", "image", "pathfinder"}) {
    all.push_back(training("dense", 0, 0.5));
    all.back().task = task, all.back().id += task;
  }
  all.front().task_options["max_len"] = Index{128};
  all.back().task_options["difficulty"] = std::string("hard");
  const std::string text = table(all, {.view = "lra", .format = "csv"});
  EXPECT_NE(text.find("exact attention,dense,here,50.0,max_len=128,50.0,50.0,50.0,50.0,-,-,-\n"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace arena
