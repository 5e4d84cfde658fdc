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
  EXPECT_NE(text.find(",here,2.00,-,-,-,2.00,-,-,-\n"), std::string::npos) << text;
  EXPECT_NE(text.find("local,Local,LRA,9.20,8.40,7.40,7.40,0.420,0.760,1.06,1.37\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("# Skyformer: Chen et al. 2021"), std::string::npos) << text;
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
