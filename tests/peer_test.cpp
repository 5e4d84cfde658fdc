#include "harness/bench/peer.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "harness/model/make.hpp"
#include "tests/fake_peer.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

using Json = nlohmann::json;

const auto kSilent = [](const std::string&) {};

class Peers : public testing::Test {
 protected:
  std::string fake(const FakePeer& peer) const {
    peer.write(path());
    return path();
  }
  std::string path() const { return folder_.path() + "/python"; }
  std::string log() const { return folder_.path() + "/log"; }

  PeerAnswer ask(const std::string& hello, double timeout_s = 30) const {
    PeerProcess process(fake({.hello = hello}), "", log());
    return process.ask({{"do", "hello"}}, timeout_s);
  }

  /// One row of a fake library beside blocked, in the only shape that the fake can do.
  std::vector<Record> run(const FakePeer& peer, double timeout_s = 30) const {
    BenchGroup group = group_of({.length = 1, .heads = 1, .head_dim = 4});
    group.peer_settings = {.python = fake(peer), .timeout_s = timeout_s};
    return run_bench_group(group, kSilent);
  }

  static BenchGroup group_of(const BenchShape& shape) {
    const ChosenVariant blocked = choose_variant("blocked");
    const BenchVariant chosen{blocked.variant.name, blocked.options};
    BenchGroup group{.shape = shape, .variants = {chosen}, .repetitions = 3};
    group.benchmark_flags = {"--benchmark_min_time=0.0001"};
    group.peers = {{"torch", "1.0", "sdpa", chosen}};
    return group;
  }

 private:
  TemporaryFolder folder_;
};

void expect_row(const std::vector<Record>& records, const std::string& status,
                const std::string& part) {
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].status, "OK") << records[0].error;
  EXPECT_EQ(records[0].time_ns.size(), 3U);
  EXPECT_EQ(records[1].status, status) << records[1].error;
  EXPECT_NE(records[1].error.find(part), std::string::npos) << records[1].error;
  EXPECT_TRUE(records[1].time_ns.empty());
  EXPECT_FALSE(records[1].time_ns_median.has_value());
}

TEST_F(Peers, ProcessAnswersLineByLine) {
  PeerProcess process(fake({.hello = "say '{\"a\": 1}'", .make = "", .run = "say '{\"b\": 2}'"}),
                      "", log());
  EXPECT_EQ(process.ask({{"do", "hello"}}, 30).number("a"), 1);
  EXPECT_EQ(process.ask({{"do", "run"}}, 30).number("b"), 2);
  EXPECT_EQ(process.ask({{"do", "run"}}, 30).number("a"), -1);
}

TEST_F(Peers, ProcessFailuresAreStatuses) {
  EXPECT_EQ(ask("say '{\"unsupported\": \"no\"}'").status, "UNSUPPORTED");
  EXPECT_EQ(ask("say '{\"error\": \"ValueError: no\"}'").error, "ValueError: no");
  EXPECT_EQ(ask("echo oh >&2; exit 3").error, "ended with exit code 3 (oh)");
  EXPECT_EQ(ask("exit 3").status, "CRASHED");
  EXPECT_EQ(ask("kill -SEGV $$").error, "ended by signal 11");
  EXPECT_EQ(ask("kill -KILL $$").status, "OOM");
  EXPECT_EQ(ask("say garbage").status, "ERROR");
  EXPECT_EQ(ask("say '[1]'").status, "ERROR");
  EXPECT_EQ(ask("tr '\\0' x </dev/zero").error, "an answer without end");
}

TEST_F(Peers, NothingWaitsForever) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ask("sleep 60", 0.2).status, "TIMEOUT");
  EXPECT_EQ(ask("printf '{\"half\": '; sleep 60", 0.2).status, "TIMEOUT");
  EXPECT_EQ(ask("exec <&- >&-; sleep 60", 5).status, "CRASHED");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(Peers, WhatFailedOnceStaysSo) {
  PeerProcess process(fake({.hello = "exit 3"}), "", log());
  EXPECT_EQ(process.ask({{"do", "hello"}}, 30).status, "CRASHED");
  EXPECT_EQ(process.ask({{"do", "hello"}}, 30).status, "CRASHED");
  PeerProcess none("/no/such/python", "", log());
  EXPECT_NE(none.ask({{"do", "hello"}}, 30).error.find("/no/such/python"), std::string::npos);
}

TEST_F(Peers, FindingSaysWhatIsMissing) {
  std::string line;
  const auto find = [&](const std::string& python) {
    return find_peers({.python = python, .timeout_s = 30}, std::vector<std::string>{"torch"},
                      [&](const std::string& text) { line = text; });
  };
  const auto found = find(fake({}));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].version, "1.0");
  EXPECT_EQ(line, "");
  EXPECT_TRUE(find(fake({.hello = "say '{\"missing\": \"numpy\"}'"})).empty());
  EXPECT_NE(line.find("has no numpy; to get it: python3 -m venv"), std::string::npos) << line;
  EXPECT_TRUE(find("/no/such/python").empty());
  EXPECT_NE(line.find("/no/such/python"), std::string::npos) << line;
}

TEST_F(Peers, RowsFitTheShape) {
  const auto names = [](const BenchGroup& group, const std::string& library) {
    std::vector<std::string> rows;
    for (const PeerRow& row : peer_rows(group, std::vector<PeerLibrary>{{library, "1"}})) {
      rows.push_back(row.row);
    }
    return rows;
  };
  using Names = std::vector<std::string>;
  BenchGroup group = group_of({});
  EXPECT_EQ(names(group, "torch"), (Names{"sdpa", "unfused"}));
  EXPECT_EQ(names(group, "onnxruntime"), Names{"MultiHeadAttention"});
  group.shape.causal = true;
  EXPECT_EQ(names(group, "onnxruntime"), Names{"GroupQueryAttention"});
  group.shape = {.scope = "step"};
  EXPECT_EQ(names(group, "torch"), (Names{"sdpa", "unfused", "compile"}));
  const ChosenVariant linformer = choose_variant("linformer[rank=7]");
  group.variants.push_back({linformer.variant.name, linformer.options});
  group.shape.task = "listops";
  EXPECT_EQ(names(group, "torch"), (Names{"sdpa", "unfused", "compile", "sdpa-bucketed",
                                          "unfused-bucketed", "linformer"}));
  const PeerRow last = peer_rows(group, std::vector<PeerLibrary>{{"torch", "1"}}).back();
  EXPECT_EQ(last.variant(), "peer/torch-linformer");
  EXPECT_EQ(std::get<Index>(last.options().at("rank")), 7);
  EXPECT_EQ(std::get<std::string>(last.options().at("version")), "1");
}

TEST_F(Peers, RightOutputsAreTimed) {
  const std::vector<Record> records = run({});
  ASSERT_EQ(records.size(), 2U);
  const Record& peer = records[1];
  EXPECT_EQ(peer.status, "OK") << peer.error;
  EXPECT_EQ(peer.kind, "bench");
  EXPECT_EQ(peer.variant, "peer/torch-sdpa");
  EXPECT_LE(peer.max_error.value(), 1e-7);
  EXPECT_EQ(peer.time_ns.size(), 3U);
  EXPECT_EQ(peer.time_ns_cold.value(), 5000);
  EXPECT_EQ(peer.rss_peak_bytes.value(), 4096);
  EXPECT_EQ(peer.flops.value(), records[0].flops.value());
}

TEST_F(Peers, TimesAreOfAllCallsTogether) {
  // Answers a microsecond for each call that is asked for.
  const auto records = run({.run = R"(n=$(printf '%s' "$line" | sed 's/[^0-9]//g')
                                      say "{\"ns\": ${n}000}")"});
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].status, "OK") << records[1].error;
  EXPECT_NEAR(records[1].time_ns_median.value(), 1000, 1e-3);
}

TEST_F(Peers, WrongOutputsGetNoTime) {
  const std::string wrong =
      "outputs; f=$(field outputs); head -c 84 \"$f\" >\"$f.part\"; "
      "printf '\\001\\002\\003\\077' >>\"$f.part\"; mv \"$f.part\" \"$f\"; "
      "say '{\"cold_ns\": 5000}'";
  expect_row(run({.make = wrong}), "INCORRECT", "out differs from that of blocked");
  expect_row(run({.make = "say '{\"cold_ns\": 5000}'"}), "INCORRECT", "gave no outputs");
  expect_row(run({.make = "echo garbage >\"$(field outputs)\"; say '{}'"}), "INCORRECT",
             "gave no outputs");
}

TEST_F(Peers, EachFailureIsARow) {
  expect_row(run({.make = "say '{\"unsupported\": \"not here\"}'"}), "UNSUPPORTED", "not here");
  expect_row(run({.make = "exit 1"}), "CRASHED", "exit code 1");
  expect_row(run({.make = "sleep 60"}, 0.3), "TIMEOUT", "0.3 seconds");
  expect_row(run({.run = "exit 1"}), "CRASHED", "exit code 1");
  expect_row(run({.run = "sleep 60"}, 0.5), "TIMEOUT", "0.5 seconds");
  expect_row(run({.run = "say nonsense"}), "ERROR", "nonsense");
  expect_row(run({.run = "say '{}'"}), "ERROR", "measured no time");
}

TEST_F(Peers, StepsAreComparedByTheirLoss) {
  BenchGroup group = group_of(
      {.scope = "step", .pass = Pass::kTrain, .length = 7, .heads = 2, .head_dim = 4, .batch = 2});
  const BenchVariant& blocked = group.variants.front();
  const StepBatch batch(group.shape);
  Workers workers(1);
  StepContender step(group.shape, blocked, batch, workers);
  step.run(workers.team());
  step.run(workers.team());
  const auto run_with = [&](double loss) {
    group.peer_settings.python =
        fake({.make = fmt::format("say '{{\"losses\": [{}, {}]}}'", loss, loss)});
    return run_bench_group(group, kSilent);
  };
  const std::vector<Record> right = run_with(step.mean_loss());
  EXPECT_EQ(right.at(1).status, "OK") << right.at(1).error;
  EXPECT_LT(right[1].max_error.value(), 1e-9);
  EXPECT_EQ(right[1].time_ns.size(), 3U);
  expect_row(run_with(1.01 * step.mean_loss()), "INCORRECT", "mean loss");
}

TEST_F(Peers, TheScriptItselfSpeaksTheProtocol) {
  if (std::system("python3 -c pass >/dev/null 2>&1") != 0) GTEST_SKIP() << "no python3";
  std::string line;
  const auto found =
      find_peers({.python = "python3", .timeout_s = 120}, std::vector<std::string>{"onnxruntime"},
                 [&](const std::string& text) { line = text; });
  // Whether this machine has the library or not, the script runs and answers.
  EXPECT_TRUE(found.size() == 1 || line.find("'python3' has no ") != std::string::npos) << line;
}

}  // namespace
}  // namespace arena
