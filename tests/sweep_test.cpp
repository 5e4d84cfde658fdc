#include "harness/sweep/sweep.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "harness/sweep/cell.hpp"
#include "harness/sweep/claim.hpp"
#include "harness/sweep/progress.hpp"
#include "tests/expect_error.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

Unit timing(const std::vector<std::string>& variants) {
  Unit unit;
  for (const std::string& variant : variants) unit.cells.push_back({.variant = variant});
  return bench_unit(unit);
}

void save_as(const Store& store, const Unit& unit, const std::string& status) {
  for (const Record& record : failed_records(unit, status, "")) store.save(record);
}

TEST(Need, MissingAndRetriedAreRun) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  const Unit unit = timing({"dense", "blocked"});
  EXPECT_EQ(need_of(unit, store, {}), Need::kRun);
  save_as(store, unit, "OOM");
  EXPECT_EQ(need_of(unit, store, {}), Need::kNothing);
  EXPECT_EQ(need_of(unit, store, {.retry = {"TIMEOUT"}}), Need::kNothing);
  EXPECT_EQ(need_of(unit, store, {.retry = {"OOM"}}), Need::kRun);
  EXPECT_EQ(need_of(unit, store, {.retry = {"FAILED"}}), Need::kRun);
  EXPECT_EQ(need_of(unit, store, {.force = true}), Need::kFresh);
  save_as(store, unit, "UNSUPPORTED");
  EXPECT_EQ(need_of(unit, store, {.retry = {"FAILED"}}), Need::kNothing);
}

TEST(Need, StaleRecordsAreRunAnew) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  const Unit unit = timing({"dense"});
  save_as(store, unit, "OK");
  Record record = *store.find(unit.cells[0].id);
  record.code_hash = "of yesterday";
  store.save(record);
  EXPECT_EQ(need_of(unit, store, {}), Need::kFresh);
  EXPECT_EQ(need_of(unit, store, {.keep_stale = true}), Need::kNothing);
}

TEST(Need, PartsOfDifferentGroupsAreNoGroup) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  save_as(store, timing({"dense", "blocked"}), "OK");
  EXPECT_EQ(need_of(timing({"dense"}), store, {}), Need::kNothing);
  EXPECT_EQ(need_of(timing({"dense", "linformer"}), store, {}), Need::kRun);
  save_as(store, timing({"dense", "linformer"}), "OK");
  EXPECT_EQ(need_of(timing({"dense", "blocked"}), store, {}), Need::kRun);
}

TEST(Sweep, RefusesAnUnknownStatus) {
  const TemporaryFolder folder;
  EXPECT_ERROR(run_sweep({}, {.out = folder.path(), .retry = {"OMM"}}), "did you mean 'OOM'");
}

TEST(Claim, OneHolderAtATime) {
  const TemporaryFolder folder;
  const ClaimFolder claims(folder.path());
  EXPECT_TRUE(claims.take("a"));
  EXPECT_TRUE(claims.take("a"));
  EXPECT_TRUE(claims.holds("a"));
  const pid_t child = ::fork();
  if (child == 0) {  // another process: sees a living claim, takes another
    const ClaimFolder own(folder.path());
    ::_exit(!own.take("a") && own.take("b") && !own.holds("a") ? 0 : 1);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(claims.holds("b"));
  ASSERT_EQ(claims.holders().size(), 2U);
  EXPECT_TRUE(claims.holders()[0].alive);
  EXPECT_FALSE(claims.holders()[1].alive);  // its process has ended
  EXPECT_TRUE(claims.take("b"));
  claims.release("a");
  claims.release("b");
  EXPECT_TRUE(claims.holders().empty());
}

TEST(Claim, OfAnotherMachineExpiresWithItsHeartbeat) {
  const TemporaryFolder folder;
  const ClaimFolder claims(folder.path(), 0.2);
  std::filesystem::create_directories(folder.path() + "/claims");
  std::ofstream(folder.path() + "/claims/a") << "elsewhere 17 other-boot-pid:[1] 12345\n";
  EXPECT_FALSE(claims.take("a"));
  ::usleep(300'000);
  EXPECT_TRUE(claims.take("a"));
}

TEST(Claim, OfATimeToComeIsDead) {
  const TemporaryFolder folder;
  const ClaimFolder claims(folder.path(), 20);
  const std::string path = folder.path() + "/claims/a";
  std::filesystem::create_directories(folder.path() + "/claims");
  std::ofstream(path) << "elsewhere 17 other-boot-pid:[1] 12345\n";
  const auto now = std::filesystem::last_write_time(path);
  std::filesystem::last_write_time(path, now + std::chrono::seconds(10));
  EXPECT_FALSE(claims.take("a"));
  std::filesystem::last_write_time(path, now + std::chrono::hours(1));
  EXPECT_TRUE(claims.take("a"));
}

TEST(Claim, ThatNeverGotItsOwnerIsDeadSoon) {
  const TemporaryFolder folder;
  const ClaimFolder claims(folder.path());
  const std::string path = folder.path() + "/claims/a";
  std::filesystem::create_directories(folder.path() + "/claims");
  std::ofstream(path).flush();
  EXPECT_FALSE(claims.take("a"));
  const auto now = std::filesystem::last_write_time(path);
  std::filesystem::last_write_time(path, now - std::chrono::seconds(10));
  EXPECT_TRUE(claims.take("a"));
}

TEST(Claim, OfAProcessThatNobodyHasWaitedForIsDead) {
  const TemporaryFolder folder;
  const ClaimFolder claims(folder.path());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(ClaimFolder(folder.path()).take("a") ? 0 : 1);
  siginfo_t ended{};
  ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);  // a zombie from here on
  EXPECT_EQ(ended.si_status, 0);
  EXPECT_TRUE(claims.take("a"));
  ::waitpid(child, nullptr, 0);
}

TEST(Claim, LeftOnAFinishedUnitIsNobodysWork) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  const Unit unit = timing({"dense", "blocked"});
  const std::string path = folder.path() + "/claims/" + unit.id;
  std::filesystem::create_directories(folder.path() + "/claims");
  std::ofstream(path) << "elsewhere 17 other-boot-pid:[1] 12345\n";  // alive by its heartbeat
  const auto now = std::filesystem::last_write_time(path);
  const auto working = [&] { return working_claims({unit}, store); };
  EXPECT_EQ(working().size(), 1U);
  save_as(store, timing({"dense"}), "OK");  // a part
  EXPECT_EQ(working().size(), 1U);
  save_as(store, unit, "OK");
  EXPECT_TRUE(working().empty());
  std::filesystem::last_write_time(path, now + std::chrono::seconds(60));  // at work on it again
  EXPECT_EQ(working().size(), 1U);

  std::filesystem::last_write_time(path, now - std::chrono::hours(1));  // dead by any measure
  SweepSetup setup{.out = folder.path(), .keep_stale = true};
  EXPECT_EQ(run_sweep({unit}, setup).skipped, 1);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Claim, OfManyProcessesExactlyOneTakesADeadOne) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() + "/claims");
  std::ofstream(folder.path() + "/claims/a") << "elsewhere 17 other-boot-pid:[1] 12345\n";
  ::usleep(100'000);
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      const bool taken = ClaimFolder(folder.path(), 0.05).take("a");
      ::usleep(200'000);  // alive while the others ask
      ::_exit(taken ? 1 : 0);
    }
  }
  int taken = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    taken += WEXITSTATUS(status);
  }
  EXPECT_EQ(taken, 1);
}

TEST(Progress, TimeLeftFollowsWhatIsDone) {
  TimeLeft left;
  left.add_done("train", 100, 10);
  EXPECT_DOUBLE_EQ(left.seconds_for("train", 50), 5);
  left.add_running("train", 100, 0.75, 2, 7.5);  // went on from a checkpoint
  EXPECT_DOUBLE_EQ(left.seconds_for("train", 50), 10);
  TimeLeft last_step;
  last_step.add_running("train", 100, 1, 30, 0);
  EXPECT_DOUBLE_EQ(last_step.seconds_for("train", 50), 15);
  EXPECT_EQ(duration_text(59.4), "59 s");
  EXPECT_EQ(duration_text(200), "3 min 20 s");
  EXPECT_EQ(duration_text(7500), "2 h 05 min");
  EXPECT_EQ(count_text(12345), "12.3k");
}

}  // namespace
}  // namespace arena
