// Figures: the numbers they show, and what gnuplot makes of them.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "results/figure/drawing.hpp"
#include "tests/some_records.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

RecordSet set_of(std::vector<Record> records) {
  Labels labels(records);
  return {.records = std::move(records), .labels = std::move(labels), .stale = {}};
}

std::vector<Record> growing(const std::string& variant, const std::vector<double>& times_ms) {
  std::vector<Record> all;
  Index length = 1024;
  for (const double time : times_ms) {
    all.push_back(timing(variant, length, time));
    all.back().time_ns = {time * 0.5e6, time * 0.9e6, time * 1e6, time * 1.2e6, time * 3e6};
    length *= 2;
  }
  return all;
}

RecordSet timings() {
  std::vector<Record> all = growing("blocked", {1, 4, 16, 64});
  for (auto& more : {growing("linear", {2, 4.4, 8, 16}), growing("slow", {3, 12, 48, 200})}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return set_of(std::move(all));
}

const Figure& find(const std::vector<Figure>& figures, const std::string& id) {
  const auto found = std::ranges::find(figures, id, &Figure::id);
  check(found != figures.end(), "no figure '{}'", id);
  return *found;
}

TEST(Figure, TimeOverLengthHasSpreadGuidesAndBreakEven) {
  const auto figures = scaling_figures(timings());
  const Figure& figure = find(figures, "time_kernel_forward");
  ASSERT_EQ(figure.series.size(), 3U);
  EXPECT_EQ(figure.series[1].name, "linear");
  const Mark& mark = figure.series[1].marks.at(2);
  EXPECT_EQ(mark.x, 4096);
  EXPECT_DOUBLE_EQ(mark.y, 8);
  EXPECT_DOUBLE_EQ(*mark.low, 7.2);
  EXPECT_DOUBLE_EQ(*mark.high, 9.6);
  EXPECT_EQ(mark.words, "linear\n8.00 ms at 4096\nhalf of 5 repetitions: 7.20 to 9.60 ms");
  ASSERT_EQ(figure.rings.size(), 1U);  // slow never gets there
  EXPECT_EQ(figure.rings[0].words, "linear\nbeats blocked from length 2227 on");
  ASSERT_EQ(figure.guides.size(), 2U);
  for (int power = 1; power <= 2; ++power) {
    const Guide& guide = figure.guides.at(static_cast<std::size_t>(power) - 1);
    EXPECT_NEAR(std::log(guide.to_y / guide.y) / std::log(guide.to_x / guide.x), power, 1e-9);
    EXPECT_LE(guide.to_y, figure.y.high);
  }
}

TEST(Figure, VariantsKeepTheirColorAndOptionsTheirShape) {
  std::vector<Record> all{timing("dense", 1024, 1), timing("local", 1024, 1),
                          timing("local", 1024, 2), timing("linear", 1024, 1)};
  all[1].options["window"] = Index{4}, all[2].options["window"] = Index{8};
  const auto looks = looks_of(set_of(all));
  EXPECT_EQ(looks.at("local[window=4]").color, looks.at("local[window=8]").color);
  EXPECT_NE(looks.at("local[window=4]").shape, looks.at("local[window=8]").shape);
  EXPECT_NE(looks.at("local[window=4]").color, looks.at("linear").color);
  EXPECT_EQ(looks.at("dense").color, 0U);
}

TEST(Figure, LearningCurvesAreMeansInABandOfAllSeeds) {
  std::vector<Record> all{training("dense", 0, 0.5), training("dense", 1, 0.6)};
  all[0].validation_curve = {{.step = 10, .loss = 1, .accuracy = 0.2, .wall_s = 1}};
  all[1].validation_curve = {{.step = 10, .loss = 1, .accuracy = 0.4, .wall_s = 3}};
  const auto figures = learning_figures(set_of(all));
  ASSERT_EQ(figures.size(), 2U);
  const Mark& by_step = find(figures, "accuracy_steps").series.at(0).marks.at(0);
  EXPECT_EQ(by_step.x, 10);
  EXPECT_NEAR(by_step.y, 30, 1e-9);
  EXPECT_NEAR(*by_step.low, 20, 1e-9);
  EXPECT_NEAR(*by_step.high, 40, 1e-9);
  EXPECT_EQ(find(figures, "accuracy_seconds").series.at(0).marks.at(0).x, 2);
  EXPECT_NEAR(figures[0].guides.at(0).y, 10, 1e-9);  // chance
}

TEST(Figure, ParetoFrontHoldsWhatNothingBeats) {
  std::vector<Record> all{training("dense", 0, 0.9), training("fast", 0, 0.8),
                          training("beaten", 0, 0.7), training("fastest", 0, 0.5)};
  all[0].tokens_per_s = 100, all[1].tokens_per_s = 400, all[2].tokens_per_s = 300;
  all[3].tokens_per_s = 500, all[3].workspace_bytes = 4 << 20;
  const auto figures = tradeoff_figures(set_of(all));
  ASSERT_EQ(figures.size(), 1U);
  std::vector<double> front;
  for (const Mark& mark : figures[0].front) front.push_back(mark.x);
  EXPECT_EQ(front, (std::vector<double>{100, 400, 500}));
  EXPECT_DOUBLE_EQ(figures[0].series.at(0).marks.at(0).area, 0.25);
}

TEST(Figure, TicksAreRound) {
  const auto texts = [](const Axis& axis) {
    std::vector<std::string> all;
    for (const Tick& tick : axis.ticks) all.push_back(tick.text);
    return all;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts(axis_around("", true, {0.2, 300})), (Texts{"1", "10", "100"}));
  EXPECT_EQ(texts(axis_around("", true, {2e-7, 9.5e-7})), (Texts{"2·10⁻⁷", "5·10⁻⁷", "10⁻⁶"}));
  EXPECT_EQ(texts(axis_around("", true, {2e-7, 9e-7})), (Texts{"2·10⁻⁷", "5·10⁻⁷"}));
  EXPECT_EQ(texts(axis_around("", false, {0, 100})), (Texts{"0", "20", "40", "60", "80", "100"}));
  EXPECT_EQ(texts(length_axis({128, 1024, 256})), (Texts{"128", "256", "1024"}));
}

TEST(Figure, NamesAreNoCommandsAndNoMarkup) {
  TemporaryFolder folder;
  const std::string file = folder.path() + "/made";
  const std::string name = "x'; system('touch " + file + "'); `touch " + file + "` <b>&\"\n!";
  std::vector<Record> all{training(name, 0, 0.9), training("dense", 0, 0.8)};
  const auto figures = tradeoff_figures(set_of(all));
  const auto svg = picture(figures.at(0), PictureFormat::kSvg);
  if (!svg) GTEST_SKIP() << "gnuplot is not installed";
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(svg->find("<b>"), std::string::npos);
  EXPECT_NE(svg->find("&lt;b"), std::string::npos);
}

TEST(Figure, IdsAreFitForNamesOfFilesAndUnique) {
  std::vector<Record> all{timing("dense", 512, 1), timing("dense", 512, 2)};
  all[0].scope = "../x y", all[1].heads = 2, all[1].scope = "..'x y";
  std::vector<std::string> ids;
  for (const Figure& figure : figures_of(set_of(all))) ids.push_back(figure.id);
  EXPECT_EQ(std::ranges::count(ids, "time____x_y_forward"), 1);
  EXPECT_EQ(std::ranges::count(ids, "time____x_y_forward_2"), 1);
}

TEST(Figure, DrawnMarksHaveTitlesAndFollowThePage) {
  const auto figures = scaling_figures(timings());
  const Figure& figure = find(figures, "time_kernel_forward");
  const auto svg = picture(figure, PictureFormat::kSvg);
  if (!svg) GTEST_SKIP() << "gnuplot is not installed";
  std::size_t marks = 0;
  for (std::size_t at = 0; (at = svg->find("class=\"mark\"><title>", at)) != std::string::npos;) {
    ++marks, ++at;
  }
  EXPECT_EQ(marks, 13U);  // 3 variants at 4 lengths, and a ring
  EXPECT_NE(svg->find("<title>linear\n8.00 ms at 4096\n"), std::string::npos);
  for (const char* left :
       {"black", "rgb(0,0,0)", "onmouse", "<script", "id='gpPt", "http://gnuplot"}) {
    EXPECT_EQ(svg->find(left), std::string::npos) << left;
  }
  EXPECT_TRUE(picture(figure, PictureFormat::kPdf)->starts_with("%PDF"));
}

}  // namespace
}  // namespace arena
