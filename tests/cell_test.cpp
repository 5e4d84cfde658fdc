#include "harness/sweep/cell.hpp"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "harness/sweep/child.hpp"
#include "harness/sweep/environment.hpp"
#include "harness/sweep/plan.hpp"
#include "tests/data_file.hpp"
#include "tests/expect_error.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

template <class Exception>
std::unique_ptr<Task> throw_it(const Exception& exception) {
  throw exception;
}

/// Tasks that fail in one way each.
TaskInfo failing(const std::string& name, const std::function<std::unique_ptr<Task>()>& make) {
  return {
      .name = name, .summary = "", .source = "", .make = [make](const TaskSetup&, const Options&) {
        return make();
      }};
}
const Register<TaskInfo> kNoData{failing(
    "test_no_data", [] { return throw_it(Error("no files in 'data'", Failure::kNoData)); })};
const Register<TaskInfo> kNoMemory{
    failing("test_no_memory", [] { return throw_it(std::bad_alloc()); })};
const Register<TaskInfo> kDiverged{
    failing("test_diverged", [] { return throw_it(Error("loss is inf", Failure::kDiverged)); })};
const Register<TaskInfo> kOdd{
    failing("test_odd", [] { return throw_it(std::runtime_error("odd")); })};
const Register<TaskInfo> kStopped{failing("test_stopped", [] { return throw_it(Stopped()); })};

Unit training(const std::string& task, std::uint64_t seed = 0) {
  Preset preset{.name = "test", .train = {{.variants = {"dense"}, .tasks = {"recall"}}}};
  preset.train[0].seeds = {seed};
  preset.train[0].settings = {{"train.steps", {"2"}},
                              {"train.batch", {"4"}},
                              {"train.evaluation_samples", {"8"}},
                              {"model.dim", {"16"}}};
  Unit unit = plan_units(preset, "").front();
  unit.task = task;
  if (task != "recall") unit.task_options.clear();
  return train_unit(unit);
}

TEST(Cell, FailuresAreRowsWithTheirReason) {
  const auto row = [](const std::string& task) { return run_unit(training(task), {}).at(0); };
  EXPECT_EQ(row("test_no_data").status, "NO_DATA");
  EXPECT_EQ(row("test_no_data").error, "no files in 'data'");
  EXPECT_EQ(row("test_no_memory").status, "OOM");
  EXPECT_EQ(row("test_diverged").status, "DIVERGED");
  EXPECT_EQ(row("test_odd").status, "ERROR");
  EXPECT_EQ(row("test_odd").variant, "dense");
  EXPECT_FALSE(row("test_odd").date.empty());
  EXPECT_THROW(row("test_stopped"), Stopped);
}

TEST(Cell, WhatNeedsEdgesIsUnsupportedWithoutThem) {
  Unit unit = training("recall");
  unit.cells.front() = {.variant = "graph"};
  const Record record = run_unit(unit, {}).at(0);
  EXPECT_EQ(record.status, "UNSUPPORTED");
  EXPECT_EQ(record.error,
            "graph attends along the edges of a graph, and the samples of this task have none");
}

TEST(Cell, ATrainingFillsItsRecord) {
  const Unit unit = training("recall");
  const Record record = run_unit(unit, {.threads = 2}).at(0);
  EXPECT_FALSE(is_failure(record.status)) << record.error;
  EXPECT_EQ(record.id, unit.id);
  EXPECT_EQ(record.threads, 2);
  EXPECT_EQ(record.steps, 2);
  EXPECT_TRUE(record.test_accuracy_best.has_value());
  EXPECT_TRUE(record.chance_accuracy.has_value());
  EXPECT_EQ(record.settings, unit.settings);
  EXPECT_EQ(record.dataset_hash, unit.dataset_hash);
  EXPECT_EQ(record.arena_version, arena_version());
  EXPECT_FALSE(is_stale(record));
  EXPECT_FALSE(record.machine.cpu.empty());
}

TEST(Cell, ARowSaysTheLengthOfATextAndThatItsDataIsASubset) {
  Preset preset{.name = "test", .train = {{.variants = {"dense"}, .tasks = {}}}};
  preset.train[0].tasks = {"text[partial=true,max_len=2000]"};
  const Unit unit = plan_units(preset, "no such folder").front();
  EXPECT_EQ(unit.dataset_hash, "");
  const Record record = run_unit(unit, {.data_dir = "no such folder"}).at(0);
  EXPECT_EQ(record.status, "NO_DATA");
  EXPECT_EQ(record.task, "text");
  EXPECT_EQ(record.task_label, "text-2000");
  EXPECT_TRUE(record.partial);
  EXPECT_EQ(run_unit(training("recall"), {}).at(0).task_label, "");
}

/// A plan for the tasks, with whatever is in the folder.
std::vector<Unit> plan_of(const std::vector<std::string>& tasks, const std::string& data_dir) {
  return plan_units({.name = "test", .train = {{.variants = {"dense"}, .tasks = tasks}}}, data_dir);
}

TEST(Cell, ADamagedFileIsARowAndTheOthersArePlanned) {
  const TemporaryFolder folder;
  write_file(folder.path() + "/rows.tsv", "4\t[MAX 3 4 ]\n9\t[MAX 3 4 ]\n");
  for (const char* part : {"train", "dev", "test"}) {
    write_file(folder.path() + "/en_ewt-ud-" + part + ".conllu", "1\tcut\n");
  }
  const std::vector<Unit> units =
      plan_of({"tagging", "listops[test_file=" + folder.path() + "/rows.tsv]", "text", "recall"},
              folder.path());
  ASSERT_EQ(units.size(), 4U);
  const auto row = [&](std::size_t i) {
    return run_unit(units[i], {.data_dir = folder.path()})[0];
  };
  EXPECT_EQ(row(0).status, "ERROR");
  EXPECT_NE(row(0).error.find("en_ewt-ud-train.conllu:1: "), std::string::npos) << row(0).error;
  EXPECT_EQ(row(1).status, "ERROR");
  EXPECT_NE(row(1).error.find("rows.tsv:2: "), std::string::npos) << row(1).error;
  EXPECT_EQ(row(2).status, "NO_DATA");
  EXPECT_FALSE(units[3].dataset_hash.empty());
}

TEST(Cell, OptionsThatDoNotFitTogetherStopThePlan) {
  EXPECT_ERROR(plan_of({"transduce[min_len=9,max_len=8]"}, ""), "min_len=9 is more than max_len=8");
  EXPECT_ERROR(plan_of({"nodes[graph=cora,clue=0.5]"}, "no such folder"), "clue is for");
}

TEST(Cell, IdIsOfEverythingThatMattersAndNothingElse) {
  const Unit unit = training("recall");
  EXPECT_EQ(unit.id.size(), 24U);
  EXPECT_EQ(unit.id, training("recall").id);
  EXPECT_NE(unit.id, training("recall", 1).id);
  Unit other = unit;
  other.preset = "another";
  EXPECT_EQ(train_unit(other).id, unit.id);
  other.settings["train.steps"] = Index{3};
  EXPECT_NE(train_unit(other).id, unit.id);
  other = unit;
  other.dataset_hash = "other data";
  EXPECT_NE(train_unit(other).id, unit.id);
  other = unit;
  other.cells[0].variant = "blocked";
  EXPECT_NE(train_unit(other).id, unit.id);
}

TEST(Cell, TimingsDependOnThreadsButNotOnTheirGroup) {
  Unit pair{.cells = {{.variant = "dense"}, {.variant = "blocked"}}, .repetitions = 9};
  Unit single{.cells = {{.variant = "dense"}}, .repetitions = 9};
  const Unit of_two = bench_unit(pair);
  EXPECT_EQ(of_two.cells[0].id, bench_unit(single).cells[0].id);
  EXPECT_NE(of_two.id, bench_unit(single).id);
  single.shape.threads = 2;
  EXPECT_NE(of_two.cells[0].id, bench_unit(single).cells[0].id);
}

TEST(Cell, UnitsComeBackFromTheirLines) {
  const Unit unit = training("recall", 3);
  EXPECT_EQ(unit_line(parse_unit(unit_line(unit), "x")), unit_line(unit));
  const Unit timing = bench_unit({.cells = {{.variant = "dense"}}, .repetitions = 9});
  EXPECT_EQ(unit_line(parse_unit(unit_line(timing), "x")), unit_line(timing));
  EXPECT_ERROR(parse_unit("{\"id\":\"x\"}", "plan.jsonl:3"), "plan.jsonl:3");
  EXPECT_ERROR(parse_unit("", "plan.jsonl:3"), "plan.jsonl:3");
  std::string broken = unit_line(timing);
  broken.replace(broken.find("\"heads\":8"), 9, "\"heads\":\"\"");
  EXPECT_ERROR(parse_unit(broken, "plan.jsonl:3"), "plan.jsonl:3");
  for (const std::string number : {"-1", "1.5", "18446744073709551615"}) {
    broken = unit_line(timing);
    broken.replace(broken.find("\"heads\":8"), 9, "\"heads\":" + number);
    EXPECT_ERROR(parse_unit(broken, "plan.jsonl:3"), "plan.jsonl:3");
  }
  broken = unit_line(timing);
  broken.replace(broken.find("\"options\":{}"), 12, "\"options\":{\"rank\":null}");
  EXPECT_ERROR(parse_unit(broken, "plan.jsonl:3"), "plan.jsonl:3");
}

TEST(Cell, MessagesComeBackFromTheirLines) {
  const auto there_and_back = [](const Message& message) {
    const std::string line = message_line(message);
    return parse_message(line.substr(0, line.size() - 1));
  };
  const Message progress =
      there_and_back({.progress = TrainProgress{.step = 3, .steps = 9, .loss = 0.5}});
  EXPECT_EQ(progress.progress->step, 3);
  EXPECT_EQ(progress.progress->loss, 0.5);
  EXPECT_EQ(there_and_back({.remark = "dense: 3 of 9"}).remark, "dense: 3 of 9");
  const Record record = failed_records(training("recall"), "OOM", "a\nb").at(0);
  EXPECT_EQ(*there_and_back({.record = record}).record, record);
}

TEST(Cell, CodeHashIsOfTheVariantAndItsTask) {
  EXPECT_EQ(code_hash("train", "dense", "recall").size(), 16U);
  EXPECT_NE(code_hash("train", "dense", "recall"), code_hash("train", "blocked", "recall"));
  EXPECT_NE(code_hash("train", "dense", "recall"), code_hash("train", "dense", "listops"));
  EXPECT_NE(code_hash("train", "dense", "recall"), code_hash("bench", "dense", ""));
  EXPECT_EQ(code_hash("bench", "no_such_variant", ""), "unknown");
}

}  // namespace
}  // namespace arena
