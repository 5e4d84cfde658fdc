#include "results/store.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/expect_error.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

Record record_of(const std::string& id, std::uint64_t seed = 0) {
  Record record;
  record.id = id, record.kind = "train", record.variant = "dense", record.seed = seed;
  return record;
}

TEST(Store, FindsWhatItSaved) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  EXPECT_FALSE(store.find("b").has_value());
  store.save(record_of("b", 1));
  store.save(record_of("a", 2));
  store.save(record_of("b", 3));
  EXPECT_EQ(store.find("b")->seed, 3U);
  const std::vector<Record> all = store.load();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].id, "a");
  store.remove("a");
  EXPECT_EQ(store.load().size(), 1U);
}

TEST(Store, PassesOverTemporaryFilesAndNamesBrokenOnes) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  store.save(record_of("a"));
  std::ofstream(store.cell_path("a") + ".123.0.tmp") << "{\"id";
  EXPECT_EQ(store.load().size(), 1U);
  std::ofstream(store.cell_path("cut")) << "{\"id";
  EXPECT_ERROR(store.load(), "cut.json");
  EXPECT_ERROR(Store(folder.path() + "/nowhere").load(), "nowhere");
}

TEST(Store, ACopiedRecordCountsForNoOtherCell) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  store.save(record_of("a"));
  std::filesystem::copy(store.cell_path("a"), store.cell_path("b"));
  EXPECT_ERROR(store.load(), "b.json: holds the record of a");
  EXPECT_ERROR(store.find("b"), "b.json: holds the record of a");
}

TEST(Store, AKilledWriterLeavesOldOrNewNeverAPart) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  Record record = record_of("a", 0);
  record.correct.assign(200000, 'f');  // long: many writes may be cut
  store.save(record);
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (record.seed = 1;; ++record.seed) store.save(record);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ASSERT_EQ(store.load().at(0).correct.size(), 200000U);
  }
}

TEST(Store, TemporaryNamesAreNobodyElses) {
  EXPECT_TRUE(temporary_name("a/b").starts_with("a/b."));
  EXPECT_NE(temporary_name("a/b"), temporary_name("a/b"));
}

TEST(Store, PlanIsAUnionWhosePlacesNeverChange) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  EXPECT_TRUE(store.plan().empty());
  const auto add = [&](const std::vector<std::string>& lines) { return store.add_to_plan(lines); };
  EXPECT_EQ(add({"x", "y"}), (std::vector<Index>{0, 1}));
  EXPECT_EQ(add({"z", "y", "x", "w"}), (std::vector<Index>{2, 1, 0, 3}));
  EXPECT_EQ(add({}), std::vector<Index>{});
  EXPECT_EQ(store.plan(), (std::vector<std::string>{"x", "y", "z", "w"}));
}

TEST(Store, PlansOfManyProcessesAreAllKept) {
  const TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int p = 0; p < 4; ++p) {
    children.push_back(::fork());
    if (children.back() == 0) {
      for (int i = 0; i < 10; ++i) {
        Store(folder.path()).add_to_plan(std::vector<std::string>{fmt::format("{}-{}", p, i)});
      }
      ::_exit(0);
    }
  }
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  EXPECT_EQ(Store(folder.path()).plan().size(), 40U);
}

TEST(Store, RefusesAFileInPlaceOfAFolder) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/file") << "x";
  EXPECT_ERROR(Store(folder.path() + "/file").save(record_of("a")), "/file");
}

}  // namespace
}  // namespace arena
