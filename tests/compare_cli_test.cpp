// arena compare, baseline and rerun, as a person runs them.

#include <nlohmann/json.hpp>

#include "results/store.hpp"
#include "tests/cli.hpp"
#include "tests/some_records.hpp"

namespace arena {
namespace {

class CompareCli : public Program {
 protected:
  /// A folder with one timing of nine repetitions.
  void save_timing(const std::string& dir, double median_ms) const {
    Record record = timing("local", 256, median_ms);
    for (int i = -4; i <= 4; ++i) record.time_ns.push_back(median_ms * 1e6 * (1 + 0.005 * i));
    Store(file(dir)).save(record);
  }
};

TEST_F(CompareCli, ARegressionIsExitCode3) {
  save_timing("old", 10), save_timing("slower", 12);
  const Outcome worse = run("compare old slower");
  EXPECT_EQ(worse.exit_code, 3) << worse.err;
  EXPECT_EQ(worse.out.find("verdict"), 0U);
  EXPECT_NE(worse.out.find("WORSE    time"), std::string::npos) << worse.out;
  EXPECT_EQ(run("compare slower old").exit_code, 0);
  EXPECT_EQ(run("compare old slower --effect 0.5").exit_code, 0);
  const auto json = nlohmann::json::parse(run("compare old slower --json").out, nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["tables"][0]["rows"][0]["verdict"], "WORSE");
}

TEST_F(CompareCli, KeepsBaselines) {
  save_timing("run", 10);
  EXPECT_EQ(run("baseline save before run").exit_code, 0);
  save_timing("run", 12);
  EXPECT_EQ(run("compare before run").exit_code, 3);
  EXPECT_EQ(run("baseline list").out.find("before "), 0U);
  const auto json = nlohmann::json::parse(run("baseline list --json").out, nullptr, false);
  EXPECT_EQ(json[0]["name"], "before");
  expect_refusal("baseline save before run", "'before' is there already");
  expect_refusal("compare befor run", "did you mean 'before'");
  expect_refusal("compare run nowhere", "'nowhere'");
  expect_refusal("compare run before --format cvs", "did you mean 'csv'");
  expect_refusal("baseline safe", "did you mean 'save'");
}

TEST_F(CompareCli, RepeatsACell) {
  const std::string train =
      "train --task recall[pairs=2,queries=2,keys=8,values=8,gap=1] --variant dense --set steps=5 "
      "--set model.dim=8 --set model.layers=1 --set model.hidden=8 --set model.head_hidden=8 "
      "--set train.batch=2 --threads 1 --out run";
  ASSERT_EQ(run(train).exit_code, 0);
  Record record = Store(file("run")).load().front();
  const std::string cell = "run/cells/" + record.id + ".json";
  const Outcome same = run("rerun " + cell);
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_NE(same.out.find("The environment is the same."), std::string::npos) << same.out;
  EXPECT_NE(same.out.find("Every test example is answered as it was."), std::string::npos);
  record.compiler = "Other 1.0";
  Store(file("run")).save(record);
  const Outcome other = run("rerun --out again " + cell);
  EXPECT_NE(other.out.find("compiler  Other 1.0"), std::string::npos) << other.out;
  EXPECT_EQ(Store(file("again")).load().front().id, record.id);
  expect_refusal("rerun nowhere.json", "nowhere.json");
}

TEST_F(CompareCli, RepeatsATiming) {
  ASSERT_EQ(run("bench --variants dense --lengths 16 --repetitions 5 --out run").exit_code, 0);
  const Record record = Store(file("run")).load().front();
  const Outcome outcome = run("rerun run/cells/" + record.id + ".json");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("time, ms"), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace arena
