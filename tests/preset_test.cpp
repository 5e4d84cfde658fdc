#include "harness/sweep/preset.hpp"

#include <gtest/gtest.h>

#include <set>

#include "harness/model/model.hpp"
#include "harness/sweep/environment.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/train/optimizer.hpp"
#include "harness/train/trainer.hpp"
#include "tasks/task.hpp"
#include "tests/expect_error.hpp"
#include "tests/small_data.hpp"

namespace arena {
namespace {

constexpr const char* kText = R"(summary = "two tables"

[[bench]]
variants = ["dense", "blocked"]
lengths = ["64:256:x2", 1000]
pass = ["forward", "train"]
threads = [1, 2]

[[train]]
variants = ["dense", "linformer[rank=16]"]
tasks = ["recall[gap=3]", "recall"]
seeds = [0, 1, 2]
model.layers = 1
train.learning_rate = [1e-4, 0.001]
)";

Preset read(const std::string& text) {
  return read_preset(text, "mine", "mine.toml");
}

TEST(Preset, ReadsBothKindsOfTables) {
  const Preset preset = read(kText);
  ASSERT_EQ(preset.train.size(), 1U);
  ASSERT_EQ(preset.bench.size(), 1U);
  EXPECT_EQ(preset.summary, "two tables");
  EXPECT_EQ(preset.bench[0].lengths, (std::vector<Index>{64, 128, 256, 1000}));
  EXPECT_EQ(preset.train[0].place, "mine.toml:9");
  EXPECT_EQ(preset.train[0].settings.at("train.learning_rate").size(), 2U);
}

TEST(Preset, ListsExpandToProducts) {
  const std::vector<Unit> units = plan_units(read(kText), "");
  const auto trainings = std::ranges::count(units, "train", &Unit::kind);
  EXPECT_EQ(trainings, 2 * 2 * 3 * 2);  // variants, tasks, seeds, learning rates
  EXPECT_EQ(static_cast<Index>(units.size()) - trainings, 4 * 2 * 2);  // lengths, passes, threads
  EXPECT_EQ(units.front().kind, "bench");
  EXPECT_EQ(units.front().cells.size(), 2U);
  std::set<std::string> ids;
  for (const Unit& unit : units) ids.insert(unit.id);
  EXPECT_EQ(ids.size(), units.size());
}

TEST(Preset, UnitsHoldEverySettingAfterDefaults) {
  const Unit unit = plan_units(read(kText), "").back();
  EXPECT_EQ(std::get<Index>(unit.settings.at("model.layers")), 1);
  EXPECT_EQ(std::get<double>(unit.settings.at("train.learning_rate")), 0.001);
  EXPECT_TRUE(unit.settings.contains("train.steps"));
  EXPECT_EQ(std::get<Index>(unit.cells.front().options.at("rank")), 16);
}

TEST(Preset, TheSameTwiceIsOneUnit) {
  const std::string table = "[[train]]\nvariants = [\"dense\"]\ntasks = [\"recall\"]\n";
  EXPECT_EQ(plan_units(read(table + table + "seeds = [0, 1]\n"), "").size(), 2U);
}

TEST(Preset, ErrorsNameFileLineKeyAndNearest) {
  const std::string good = "[[train]]\nvariants = [\"dense\"]\ntasks = [\"recall\"]\n";
  EXPECT_ERROR(read(good + "sede = 1\n"), "mine.toml:4: unknown key 'sede'; did you mean 'seeds'?");
  EXPECT_ERROR(read("[^train]\n"), "mine.toml:1: Error while parsing key: expected bare key");
  EXPECT_ERROR(read("tr\u00e4in = 1\n"), "mine.toml:1: Error while parsing");
  EXPECT_ERROR(read("[[trian]]\n"), "mine.toml:1: unknown key 'trian'; did you mean 'train'?");
  EXPECT_ERROR(read("[[train]]\nvariants = [\"danse\"]\ntasks = [\"recall\"]\n"),
               "mine.toml:2: unknown variant 'danse'; did you mean 'dense'?");
  EXPECT_ERROR(read("[[train]]\nvariants = [\"dense\"]\ntasks = [\"recal\"]\n"),
               "mine.toml:3: unknown task 'recal'; did you mean 'recall'?");
  EXPECT_ERROR(read("[[train]]\nvariants = [\"dense\"]\ntasks = [\"recall[gab=3]\"]\n"),
               "mine.toml:3: recall: unknown option 'gab'; did you mean 'gap'?");
  EXPECT_ERROR(read("[[train]]\nvariants = [\"dense[\"]\ntasks = [\"recall\"]\n"), "mine.toml:2");
  EXPECT_ERROR(read(good + "model.layer = 2\n"), "mine.toml:4: model: unknown option 'layer'");
  EXPECT_ERROR(read(good + "train.steps = -2\n"), "mine.toml:4: train: option steps='-2'");
  EXPECT_ERROR(read(good + "model = 3\n"), "mine.toml:4: model is not a table");
  EXPECT_ERROR(read(good + "seeds = [-1]\n"), "mine.toml:4: seeds: '-1'");
  EXPECT_ERROR(read(good + "seeds = []\n"), "mine.toml:4: seeds is an empty list");
  EXPECT_ERROR(read("[[train]]\nvariants = [\"dense\"]\n"), "mine.toml:1: key 'tasks' is missing");
  EXPECT_ERROR(read("[train]\nvariants = [\"dense\"]\n"), "write [[train]]");
  EXPECT_ERROR(read("[[bench]]\nvariants = [\"dense\"]\npass = \"foward\"\n"),
               "mine.toml:3: unknown pass 'foward'; did you mean 'forward'?");
  EXPECT_ERROR(read("[[bench]]\nvariants = [\"dense\"]\nlengths = \"12:x\"\n"), "12:x");
  EXPECT_ERROR(read("summary = \"x\"\n"), "neither");
  EXPECT_ERROR(read("a = = 1\n"), "mine.toml:1:");
  EXPECT_ERROR(find_preset("quik"), "did you mean 'quick'?");
  EXPECT_ERROR(find_preset("nowhere/at_all.toml"), "nowhere/at_all.toml");
}

TEST(Preset, AllIsEveryVariantThatIsNotNamedOtherwise) {
  const std::string bench = "[[bench]]\nvariants = ";
  EXPECT_EQ(read(bench + "\"all\"\n").bench[0].variants, Registry<Variant>::names());
  std::vector<std::string> expected{"local[window=4]"};
  for (const std::string& name : Registry<Variant>::names()) {
    if (name != "local") expected.push_back(name);
  }
  EXPECT_EQ(read(bench + "[\"local[window=4]\", \"all\"]\n").bench[0].variants, expected);
  const Preset preset = select(read(kText), {.variants = {"all"}});
  EXPECT_EQ(preset.train[0].variants.size(), Registry<Variant>::names().size());
}

TEST(Preset, SelectionPicksAndAdds) {
  const Preset preset = read(kText);
  const Preset one = select(preset, {.variants = {"linformer"}, .seeds = {7}});
  EXPECT_EQ(one.train[0].variants, std::vector<std::string>{"linformer[rank=16]"});
  EXPECT_EQ(one.train[0].seeds, std::vector<std::uint64_t>{7});
  EXPECT_EQ(select(preset, {.variants = {"local"}}).bench[0].variants,
            std::vector<std::string>{"local"});
  EXPECT_EQ(select(preset, {.tasks = {"recall"}}).train[0].tasks.size(), 2U);
  EXPECT_EQ(select(preset, {.tasks = {"recall[gap=4]"}}).train[0].tasks,
            std::vector<std::string>{"recall[gap=4]"});
  EXPECT_EQ(select(preset, {.lengths = {32}}).bench[0].lengths, std::vector<Index>{32});
  EXPECT_ERROR(select(preset, {.variants = {"denes"}}), "did you mean 'dense'");
}

TEST(Preset, EveryBuiltInPresetCanBePlanned) {
  ASSERT_FALSE(built_in_presets().empty());
  for (const BuiltInPreset& built_in : built_in_presets()) {
    const Preset preset = find_preset(built_in.name);
    EXPECT_FALSE(preset.summary.empty()) << built_in.name;
    EXPECT_FALSE(plan_units(preset, "").empty()) << built_in.name;
  }
}

/// One task with the settings of Nyströmformer's code, and what its dense model has of parameters.
struct Published {
  const char* task;
  Index parameters, batch, steps, warmup;
};

/// A task whose data is here, or a tiny part of it: its shape is the same.
std::unique_ptr<Task> task_of(const Unit& unit) {
  const TaskInfo& info = Registry<TaskInfo>::find(unit.task);
  OptionTexts options;
  for (const auto& [name, value] : unit.task_options) options[name] = option_text(value);
  if (options.contains("partial") && !options.contains("examples")) options["partial"] = "true";
  return info.make({.data_dir = small_data_dir()}, Options(info.name, info.options, options));
}

class Paper : public testing::TestWithParam<Published> {};
INSTANTIATE_TEST_SUITE_P(All, Paper,
                         testing::Values(Published{"listops", 209'802, 32, 5000, 1000},
                                         Published{"text", 370'562, 32, 20'000, 8000},
                                         Published{"retrieval", 395'138, 32, 30'000, 800},
                                         Published{"image", 174'986, 256, 35'000, 175},
                                         Published{"pathfinder", 173'954, 256, 62'400, 312},
                                         // not in that code: a position for each token
                                         Published{"pathx", 173'954 + (16'384 - 1024) * 64, 64,
                                                   62'400, 312}),
                         [](const auto& parameter) { return parameter.param.task; });

/// Long Range Arena's six tasks, and nothing beside them.
TEST(Preset, PaperTrainsOnAllOfLongRangeArena) {
  std::set<std::string> tasks;
  for (const Unit& unit : plan_units(find_preset("paper"), "")) {
    tasks.insert(unit.task);
    if (unit.task != "pathfinder") continue;
    EXPECT_EQ(option_text(unit.task_options.at("difficulty")), "hard");
    EXPECT_EQ(option_text(unit.task_options.at("size")), "32");
  }
  EXPECT_EQ(tasks, (std::set<std::string>{"listops", "text", "retrieval", "image", "pathfinder",
                                          "pathx"}));
}

/// The preset that shows each kind of task has a row for each but the one that is too long.
TEST(Preset, TasksHasEveryTaskButPathX) {
  std::set<std::string> tasks;
  for (const Unit& unit : plan_units(find_preset("tasks"), "")) tasks.insert(unit.task);
  std::set<std::string> expected;
  for (const std::string& name : Registry<TaskInfo>::names()) {
    if (name != "pathx") expected.insert(name);
  }
  EXPECT_EQ(tasks, expected);
}

TEST_P(Paper, HasThePublishedSettings) {
  const Published& published = GetParam();
  const std::vector<Unit> units =
      plan_units(select(find_preset("paper"),
                        {.variants = {"blocked"}, .tasks = {published.task}, .seeds = {0}}),
                 "");
  ASSERT_EQ(units.size(), 1U);  // no grid of learning rates
  OptionTexts model, train;
  for (const auto& [name, value] : units[0].settings) {
    (name.starts_with("model.") ? model : train)[name.substr(6)] = option_text(value);
  }
  const auto task = task_of(units[0]);
  const Variant& blocked = Registry<Variant>::find("blocked");
  const Model built(blocked, Options("blocked", blocked.options, {}),
                    Options("model", model_options(), model), shape_of(*task));
  EXPECT_EQ(built.parameters().parameter_count(), published.parameters);
  const Options training("train", train_options(), train);
  EXPECT_EQ(training.integer("batch"), published.batch);
  EXPECT_EQ(training.integer("steps"), published.steps);
  EXPECT_EQ(training.real("weight_decay"), 0);
  EXPECT_EQ(training.real("epsilon"), 1e-6);
  EXPECT_EQ(training.real("beta2"), 0.999);
  const Schedule schedule(training);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(0), 4e-6);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(published.warmup - 1), 1e-4);
  EXPECT_NEAR(schedule.learning_rate(published.steps - 1), 4e-10, 1e-18);
  EXPECT_DOUBLE_EQ(schedule.beta1(0), 0.95);
  EXPECT_DOUBLE_EQ(schedule.beta1(published.warmup - 1), 0.85);
}

}  // namespace
}  // namespace arena
