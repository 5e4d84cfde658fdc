// What is published in results/published/ is what its records give.

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "harness/core/check.hpp"
#include "results/figure/figure.hpp"
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
  return names;
}

class Published : public testing::TestWithParam<std::string> {
 protected:
  std::string dir() const { return ARENA_SOURCE_DIR "/results/published/" + GetParam(); }
  std::vector<Record> records() const { return Store(dir()).load(); }
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
  const std::vector<Record> all = newest_of_each(records());
  const RecordSet set{.records = all, .labels = Labels(all), .stale = {}};
  std::set<std::string> wanted, found;
  for (const Figure& figure : figures_of(set)) wanted.insert(figure.id + ".svg");
  for (const auto& entry : fs::directory_iterator(dir() + "/figures")) {
    found.insert(entry.path().filename().string());
  }
  EXPECT_EQ(found, wanted);
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
