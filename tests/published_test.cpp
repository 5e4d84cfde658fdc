// What is published in results/published/ is what its records give.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "harness/core/check.hpp"
#include "results/figure/drawing.hpp"
#include "results/store.hpp"
#include "results/table.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> published_runs() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(ARENA_SOURCE_DIR "/results/published")) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

class Published : public testing::TestWithParam<std::string> {
 protected:
  std::string dir() const { return ARENA_SOURCE_DIR "/results/published/" + GetParam(); }
  std::string svg(const Figure& figure) const {
    return read_file(dir() + "/figures/" + figure.id + ".svg");
  }
  std::vector<Record> records() const { return Store(dir()).load(); }
  std::vector<Figure> figures() const { return figures_of_records(newest_of_each(records())); }
  static std::vector<Figure> figures_of_records(const std::vector<Record>& all) {
    return figures_of({.records = all, .labels = Labels(all), .stale = {}});
  }
};
INSTANTIATE_TEST_SUITE_P(Runs, Published, testing::ValuesIn(published_runs()));

TEST_P(Published, TablesAreWhatTheRecordsGive) {
  for (const char* view : {"summary", "accuracy", "speed", "memory"}) {
    EXPECT_EQ(read_file(dir() + "/" + view + ".md"),
              table(records(), {.view = view, .format = "md"}))
        << view;
  }
}

TEST_P(Published, EveryFigureOfTheRecordsIsThere) {
  std::set<std::string> wanted, found;
  for (const Figure& figure : figures()) wanted.insert(figure.id + ".svg");
  for (const auto& entry : fs::directory_iterator(dir() + "/figures")) {
    found.insert(entry.path().filename().string());
  }
  EXPECT_EQ(found, wanted);
}

/// Texts between `before` and `after` in a picture.
std::vector<std::string> texts(const std::string& svg, const std::string& before,
                               const std::string& after) {
  std::vector<std::string> found;
  for (std::size_t at = 0; (at = svg.find(before, at)) != std::string::npos;) {
    at += before.size();
    found.push_back(svg.substr(at, svg.find(after, at) - at));
  }
  return found;
}

using Texts = std::vector<std::string>;

/// The words of a mark have its name and its numbers; they do not depend on who draws it.
Texts words_of(const Figure& figure) {
  Texts words;
  for (const Series& series : figure.series) {
    for (const Mark& mark : series.marks) words.push_back(escaped(mark.words));
  }
  for (const Mark& ring : figure.rings) words.push_back(escaped(ring.words));
  return words;
}

TEST_P(Published, FiguresSayWhatTheRecordsGive) {
  for (const Figure& figure : figures()) {
    const std::string drawn = svg(figure);
    EXPECT_EQ(texts(drawn, "class=\"mark\"><title>", "</title>"), words_of(figure)) << figure.id;
    EXPECT_EQ(texts(drawn, "aria-label=\"", "\""), Texts{escaped(figure.title)}) << figure.id;
    EXPECT_EQ(texts(drawn, "<desc>", "</desc>"), Texts{escaped(figure.caption)}) << figure.id;
  }
}

TEST_P(Published, FiguresAreTheSameInWhateverOrderRecordsCome) {
  const std::vector<Record> all = newest_of_each(records());
  std::vector<Record> turned = all;
  const std::vector<Figure> straight = figures_of_records(all);
  for (int order = 0; order < 4; ++order) {
    std::ranges::stable_sort(
        turned, {}, [&](const Record& record) { return (record.seed + 2 * order + 1) % 3; });
    if (order % 2 != 0) std::ranges::reverse(turned);
    const std::vector<Figure> others = figures_of_records(turned);
    ASSERT_EQ(straight.size(), others.size());
    for (std::size_t i = 0; i < straight.size(); ++i) {
      EXPECT_EQ(words_of(straight[i]), words_of(others[i])) << straight[i].id;
    }
  }
}

/// Another gnuplot may draw the same otherwise.
TEST_P(Published, FiguresAreDrawnFromTheRecords) {
  const std::string published_by = read_file(dir() + "/gnuplot_version");
  const auto here = run_gnuplot(
      "set print '-'\nprint sprintf('gnuplot %s patchlevel %s', "
      "sprintf('%.1f', GPVAL_VERSION), GPVAL_PATCHLEVEL)\n");
  if (here != published_by) GTEST_SKIP() << "published by " << published_by;
  for (const Figure& figure : figures()) {
    EXPECT_TRUE(svg(figure) == picture(figure, PictureFormat::kSvg)) << figure.id;
  }
}

TEST_P(Published, ComesFromOneMachineAndOneCommit) {
  std::set<std::string> machines, commits;
  for (const Record& record : records()) {
    machines.insert(record.machine.cpu + record.machine.isa);
    commits.insert(record.git_commit);
    EXPECT_FALSE(record.git_dirty) << record.id;
  }
  EXPECT_EQ(machines.size(), 1U);
  EXPECT_EQ(commits.size(), 1U);
}

}  // namespace
}  // namespace arena
