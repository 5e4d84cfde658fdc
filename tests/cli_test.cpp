// The built program, as a person or a script runs it.

#include "tests/cli.hpp"

#include <signal.h>

#include <nlohmann/json.hpp>

#include "results/table.hpp"
#include "tests/fake_peer.hpp"

namespace arena {
namespace {

class Cli : public Program {
 protected:
  void write_small_sweep(int steps, const std::string& more = "") const {
    write("small.toml", fmt::format(R"([[train]]
variants = ["dense", "linformer[rank=8]"]
tasks = ["recall[pairs=2,queries=2,keys=8,values=8,gap=1]"]
seeds = [0, 1]
model.dim = 8
model.layers = 1
model.hidden = 8
model.head_hidden = 8
train.batch = 2
train.steps = {}
train.evaluation_samples = 16
{})",
                                    steps, more));
  }
};

TEST_F(Cli, ListsAndShows) {
  const Outcome variants = run("list variants");
  EXPECT_EQ(variants.exit_code, 0);
  for (const char* what : {"variants", "tasks", "presets"}) {
    const auto json =
        nlohmann::json::parse(run(std::string("list --json ") + what).out, nullptr, false);
    const auto other =
        nlohmann::json::parse(run(fmt::format("list {} --json", what)).out, nullptr, false);
    ASSERT_TRUE(other.is_array() && !other.empty()) << what << json;
    EXPECT_TRUE(other[0]["name"].is_string());
  }
  EXPECT_NE(variants.out.find("other weights  Linear Trans."), std::string::npos) << variants.out;
  EXPECT_LT(variants.out.find("exact  "), variants.out.find("kernel  ")) << variants.out;
  const std::string linformer = run("show linformer").out;
  for (const char* part : {"rank", "exact limit", "key [M, 32]", "E [64, 512]"})
    EXPECT_NE(linformer.find(part), std::string::npos) << part << linformer;
  EXPECT_NE(run("show recall").out.find("training sample 2"), std::string::npos);
  EXPECT_NE(run("show quick").out.find("[[train]]"), std::string::npos);
  EXPECT_NE(run("--version").out.find("0."), std::string::npos);
}

TEST_F(Cli, EveryCommandHasHelpWithExamples) {
  EXPECT_EQ(run("--help").exit_code, 0);
  for (const char* command : {"sweep", "train", "table", "status", "list", "show", "cell", "bench",
                              "compare", "baseline", "rerun", "submit"}) {
    const Outcome help = run(std::string(command) + " --help");
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_NE(help.out.find("Example"), std::string::npos) << command;
  }
}

TEST_F(Cli, BadInputIsOneLineThatNamesTheNearest) {
  write_small_sweep(1);
  write("broken.toml", "[[train]]\nvariant = 1\n");
  expect_refusal("swep", "did you mean 'sweep'");
  expect_refusal("list variats", "did you mean 'variants'");
  expect_refusal("", "arena");
  expect_refusal("show linfromer", "did you mean 'linformer'");
  expect_refusal("show linformer[rnak=3]", "did you mean 'rank'");
  expect_refusal("show linformer[rank=x]", "rank='x'");
  expect_refusal("sweep quik", "did you mean 'quick'");
  expect_refusal("sweep nowhere.toml", "nowhere.toml");
  expect_refusal("sweep broken.toml", "broken.toml:2");
  expect_refusal("sweep small.toml --variants danse", "did you mean 'dense'");
  expect_refusal("sweep small.toml --tasks recal", "did you mean 'recall'");
  expect_refusal("sweep small.toml --seeds a", "bad seed 'a'");
  expect_refusal("sweep small.toml --lengths 1:x", "1:x");
  expect_refusal("sweep small.toml --retry OMM", "did you mean 'OOM'");
  expect_refusal("sweep small.toml --memory-limit lots", "lots");
  expect_refusal("sweep small.toml --thraeds 2", "did you mean '--threads'");
  expect_refusal("sweep small.toml --threads two", "two");
  expect_refusal("table nowhere", "nowhere");
  expect_refusal("status nowhere", "nowhere");
  expect_refusal("cell --plan plan.jsonl --index 0", "plan.jsonl");
  expect_refusal("train --task recall --variant dense --set stesp=3", "did you mean 'steps'");
  expect_refusal("train --task recall --variant dense --set dim", "KEY=VALUE");
  expect_refusal("train --task recall --variant dense --set train.steps=no", "steps='no'");
  expect_refusal("train --task recall --variant dense --preset paper", "trains on listops");
  expect_refusal("train --variant dense", "--task");
}

TEST_F(Cli, SweepsResumesAndTabulates) {
  write_small_sweep(3,
                    "[[bench]]\nvariants = [\"dense\", \"linformer[rank=8]\"]\nlengths = [32]\n"
                    "repetitions = 1\n");
  const Outcome dry = run("sweep small.toml --dry-run");
  EXPECT_EQ(std::ranges::count(dry.out, '\n'), 5) << dry.out;
  EXPECT_FALSE(std::filesystem::exists(file("runs")));
  const std::string command = run("sweep small.toml --commands --time-limit 60").out;
  EXPECT_NE(command.find(" cell --plan " + file("runs/small/plan.jsonl") + " --index 0 "),
            std::string::npos)
      << command;
  EXPECT_NE(command.find(" --time-limit 60\n"), std::string::npos) << command;
  expect_refusal("sweep small.toml --commands --force", "--force excludes --commands");
  EXPECT_EQ(std::ranges::count(command, '\n'), 5) << command;

  const Outcome first = run("sweep small.toml");
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_NE(first.err.find("5 units run, 0 done before"), std::string::npos) << first.err;
  EXPECT_NE(first.out.find("linformer"), std::string::npos);
  const Outcome second = run("sweep small.toml");
  EXPECT_EQ(second.exit_code, 0);
  EXPECT_NE(second.err.find("0 units run, 5 done before"), std::string::npos) << second.err;
  EXPECT_EQ(second.out, first.out);
  EXPECT_EQ(run("table runs/small").out, first.out);
  EXPECT_EQ(run("sweep small.toml --commands").out, "");

  for (const std::string& view : view_names()) {
    for (const char* format : {"text", "md", "tex", "csv", "json", "jsonl"}) {
      const Outcome shown =
          run(fmt::format("table runs/small --view {} --format {}", view, format));
      EXPECT_EQ(shown.exit_code, 0) << shown.err;
      EXPECT_NE(shown.out.find("linformer"), std::string::npos) << view << format;
    }
  }
  EXPECT_NE(run("status runs/small").out.find("planned 6, missing 0"), std::string::npos);
  EXPECT_EQ(run("cell --plan runs/small/plan.jsonl --index 1").exit_code, 0);
  expect_refusal("cell --plan runs/small/plan.jsonl --index 5", "0..4");
}

TEST_F(Cli, AKilledSweepGoesOnAndLosesNothing) {
  write_small_sweep(1500);
  const pid_t sweep = start("sweep small.toml --threads 1");
  ASSERT_TRUE(appears(file("runs/small/cells")));
  ::kill(sweep, SIGKILL);
  EXPECT_EQ(finish(sweep).exit_code, 128 + SIGKILL);
  const auto before = Store(file("runs/small")).load();
  const Outcome again = run("sweep small.toml --threads 1");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  const auto after = Store(file("runs/small")).load();
  ASSERT_EQ(after.size(), 4U);
  for (const Record& record : before) {
    EXPECT_EQ(std::ranges::count(after, record), 1);  // not run again
  }
}

TEST_F(Cli, StopsOnASignalAndSaysHowToGoOn) {
  write_small_sweep(20'000'000);
  const pid_t sweep = start("sweep small.toml --threads 1");
  ASSERT_TRUE(appears(file("runs/small/logs")));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  ::kill(sweep, SIGTERM);
  const Outcome stopped = finish(sweep);
  EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_NE(stopped.err.find("run the same again to go on"), std::string::npos) << stopped.err;
  EXPECT_FALSE(std::filesystem::exists(file("runs/small/cells")));
  EXPECT_TRUE(std::filesystem::is_empty(file("runs/small/claims")));
}

/// What a training found, without what differs from run to run: dates, times, memory of this run.
std::string findings(const std::string& dir) {
  Record record = Store(dir).load().at(0);
  for (auto* curve : {&record.loss_curve, &record.validation_curve}) {
    for (CurvePoint& point : *curve) point.wall_s = 0;
  }
  record.date.clear();
  record.wall_s.reset();
  record.tokens_per_s.reset();
  record.workspace_bytes.reset();
  return to_json(record);
}

TEST_F(Cli, AStoppedTrainingEndsAsAnUninterruptedOne) {
  write_small_sweep(50000);
  const std::string command = "sweep small.toml --variants dense --seeds 3 --threads 1 --out ";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run(command + "whole").exit_code, 0);
  const auto part = (std::chrono::steady_clock::now() - begin) / 5;  // on this machine, today
  for (const int number : {SIGTERM, SIGUSR1, SIGKILL}) {
    const pid_t training = start(command + "parts");
    std::this_thread::sleep_for(part);
    ::kill(training, number);
    EXPECT_EQ(finish(training).exit_code, number == SIGKILL ? 128 + SIGKILL : 75);
  }
  EXPECT_EQ(run(command + "parts").exit_code, 0);
  EXPECT_EQ(findings(file("parts")), findings(file("whole")));
}

/// A living child of the process other than `known`, for which it waits a minute at most; else 0.
pid_t child_of(pid_t parent, pid_t known) {
  for (int i = 0; i < 6000; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::ifstream stat(entry.path() / "stat");  // NUMBER (PROGRAM) STATE PARENT ...
      std::string number, program;
      char state = 'Z';
      pid_t of = 0;
      stat >> number >> program >> state >> of;
      const auto child = static_cast<pid_t>(std::stol(name));
      if (of == parent && child != known && state != 'Z') return child;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return 0;
}

TEST_F(Cli, ACrashOfACellIsARowAndTheSweepGoesOn) {
  write_small_sweep(20'000'000);
  const pid_t sweep = start("sweep small.toml --variants dense --threads 1");
  pid_t cell = 0;
  for (int seed = 0; seed < 2; ++seed) {
    cell = child_of(sweep, cell);
    ASSERT_GT(cell, 0);
    ::kill(cell, SIGABRT);
  }
  const Outcome crashed = finish(sweep);
  EXPECT_EQ(crashed.exit_code, 1) << crashed.err;
  EXPECT_NE(crashed.out.find("CRASHED"), std::string::npos) << crashed.out;
  const auto records = Store(file("runs/small")).load();
  ASSERT_EQ(records.size(), 2U);
  for (const Record& record : records) {
    EXPECT_EQ(record.status, "CRASHED");
    EXPECT_EQ(record.error, fmt::format("killed by signal {} (Aborted)", SIGABRT));
  }
  EXPECT_NE(run("sweep small.toml --variants dense --retry CRASHED --dry-run").out.find("seed 1"),
            std::string::npos);
}

TEST_F(Cli, FailuresAreRowsAndExitCodeOne) {
  write_small_sweep(20'000'000);
  const Outcome late = run("sweep small.toml --seeds 0 --variants dense --time-limit 1");
  EXPECT_EQ(late.exit_code, 1) << late.err;
  EXPECT_NE(late.out.find("TIMEOUT"), std::string::npos) << late.out;
  const Outcome big =
      run("sweep small.toml --seeds 1 --variants dense --memory-limit 200M --tasks "
          "recall[pairs=4096,keys=100000,values=100000,gap=100000]");
  EXPECT_EQ(big.exit_code, 1) << big.err;
  EXPECT_NE(big.out.find("OOM"), std::string::npos) << big.out << big.err;
  EXPECT_NE(run("status runs/small").out.find("not finished within 1 s"), std::string::npos);
}

TEST_F(Cli, TwoSweepsShareAFolder) {
  write_small_sweep(200);
  const pid_t first = start("sweep small.toml --threads 1", "1");
  const pid_t second = start("sweep small.toml --threads 1", "2");
  const Outcome a = finish(first, "1");
  const Outcome b = finish(second, "2");
  EXPECT_EQ(a.exit_code, 0) << a.err;
  EXPECT_EQ(b.exit_code, 0) << b.err;
  const auto finished = [](const Outcome& o) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = o.err.find(": accuracy ", at)) != std::string::npos; ++at)
      ++count;
    return count;
  };
  EXPECT_EQ(finished(a) + finished(b), 4U) << a.err << b.err;
  EXPECT_EQ(Store(file("runs/small")).load().size(), 4U);
}

TEST_F(Cli, TrainTakesSettingsAndShowsTheResult) {
  const std::string command =
      "train --task recall[pairs=2,queries=2,keys=8,values=8] --variant linformer --seeds 0,1 "
      "--set steps=2 --set batch=2 --set rank=4 --set gap=1 --set model.dim=8";
  const Outcome trained = run(command);
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_NE(trained.out.find("(chance)"), std::string::npos) << trained.out;
  EXPECT_NE(trained.out.find("rank=4"), std::string::npos) << trained.out;
  const std::vector<Record> records = Store(file("runs/train")).load();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(std::get<Index>(records[0].settings.at("train.steps")), 2);
  EXPECT_EQ(std::get<Index>(records[0].task_options.at("gap")), 1);
}

TEST_F(Cli, TrainTakesAPresetsSettingsAndOverridesThem) {
  write("mine.toml", R"(summary = "one table for each task"
[[train]]
variants = ["dense"]
tasks = ["recall"]
model.dim = 16
[[train]]
variants = ["dense", "linformer[rank=8]"]
tasks = ["listops[max_len=40]"]
seeds = [3]
model.dim = 8
model.head_hidden = 8
train.steps = 6
train.batch = 2
train.learning_rate = 0.01
train.evaluate_every = 2
train.evaluation_samples = 8
)");
  const std::string command = "train --task listops --variant linformer --preset ./mine.toml ";
  const Outcome plan = run(command + "--seeds 0 --dry-run");
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_EQ(std::ranges::count(plan.out, '\n'), 1) << plan.out;
  EXPECT_NE(plan.out.find("linformer[rank=8] on listops[max_len=40], seed 0"), std::string::npos)
      << plan.out;
  const Outcome trained = run(command + "--set train.batch=3 --set rank=4");
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  const std::vector<Record> records = Store(file("runs/mine")).load();
  ASSERT_EQ(records.size(), 1U);
  const Record& record = records[0];
  EXPECT_EQ(record.seed, 3U);
  EXPECT_EQ(record.preset, "mine");
  EXPECT_EQ(std::get<Index>(record.settings.at("model.dim")), 8);
  EXPECT_EQ(std::get<Index>(record.settings.at("train.batch")), 3);
  EXPECT_EQ(std::get<double>(record.settings.at("train.learning_rate")), 0.01);
  EXPECT_EQ(std::get<Index>(record.options.at("rank")), 4);
  EXPECT_EQ(record.loss_curve.size(), 6U);
  ASSERT_EQ(record.validation_curve.size(), 3U);
  EXPECT_EQ(record.validation_curve.back().step, 6);
}

TEST_F(Cli, BenchTimesTrainingSteps) {
  const std::string small =
      "bench --scope step --variants dense,blocked --heads 2 --head-dim 4 --batch 2 "
      "--repetitions 2 --benchmark_min_time=0.001 ";
  const Outcome table = run(small + "--lengths 16");
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_TRUE(table.out.starts_with("step train, length 16, 2 heads of 4, batch 2")) << table.out;
  EXPECT_NE(table.out.find("tokens/s"), std::string::npos) << table.out;
  const Outcome saved = run(small + "--task listops[max_len=64] --json --out steps");
  EXPECT_EQ(saved.exit_code, 0) << saved.err;
  const auto json = nlohmann::json::parse(saved.out, nullptr, false);
  ASSERT_EQ(json.size(), 2U);
  for (const auto& record : json) {
    EXPECT_EQ(record["status"], "OK") << record;
    EXPECT_EQ(record["scope"], "step");
    EXPECT_EQ(record["task"], "listops");
    EXPECT_EQ(record["task_options"]["max_len"], 64);
    EXPECT_EQ(record["length"], 64);
    EXPECT_LT(record["lengths"]["max"], 64);
    EXPECT_GT(record["rss_peak_bytes"], 0);
  }
  EXPECT_NE(run("table steps").out.find("step train, 2 heads of 4, listops"), std::string::npos);
}

TEST_F(Cli, BenchRefusesWhatAStepHasNot) {
  expect_refusal("bench --scope step --pass forward", "no pass but train");
  expect_refusal("bench --scope step --causal", "not causal");
  expect_refusal("bench --task listops", "--scope step");
  expect_refusal("bench --scope step --task listopts", "did you mean 'listops'?");
  expect_refusal("bench --scope step --task listops --lengths 512", "lengths of its own");
}

TEST_F(Cli, BenchTimesPeersBesideVariants) {
  const std::string command =
      "bench --variants blocked --lengths 1 --heads 1 --head-dim 4 --repetitions 2 "
      "--benchmark_min_time=0.001 --against torch --python ./python ";
  FakePeer peer;
  peer.write(file("python"));
  const Outcome good = run(command + "--out peers");
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_NE(good.out.find("x torch sdpa"), std::string::npos) << good.out;
  EXPECT_NE(good.out.find("torch 1.0 unfused"), std::string::npos) << good.out;
  EXPECT_EQ(Store(file("peers")).load().size(), 3U);
  EXPECT_NE(run("table peers").out.find("peer/torch-sdpa"), std::string::npos);
  EXPECT_NE(run("status peers").out.find("missing 0"), std::string::npos);

  peer.run = "exit 3";
  peer.write(file("python"));
  const Outcome crashed = run(command);
  EXPECT_EQ(crashed.exit_code, 1);
  EXPECT_NE(crashed.out.find("CRASHED: ended with exit code 3"), std::string::npos) << crashed.out;
}

TEST_F(Cli, BenchGoesOnWithoutPeers) {
  const std::string command =
      "bench --variants blocked --lengths 8 --repetitions 1 --benchmark_min_time=0.001 ";
  const Outcome outcome = run(command + "--against torch,onnxruntime --python /no/such/python");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("without onnxruntime: "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("pip install"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out.find("torch"), std::string::npos) << outcome.out;
  expect_refusal(command + "--against tensorflow", "torch");
  expect_refusal(command + "--against torch,torch", "twice");
  expect_refusal(command + "--against torch --scope layer", "--scope kernel or step");
  expect_refusal(command + "--against torch --peer-timeout 0", "--peer-timeout");
}

}  // namespace
}  // namespace arena
