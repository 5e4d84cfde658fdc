#include "results/record.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/expect_error.hpp"

namespace arena {
namespace {

Record full_record() {
  Record r;
  r.id = "0123456789abcdef01234567", r.arena_version = "0.1.0", r.code_hash = "aa";
  r.git_commit = "1a2b", r.git_dirty = true, r.date = "2026-01-02T03:04:05Z";
  r.machine = {.cpu = "A \"quoted\" CPU",
               .cores = 2,
               .caches = {"L1d 32 KiB", "L2 1 MiB"},
               .isa = "x86-64-v3",
               .memory_bytes = Index{8} << 30};
  r.compiler = "GNU 12.2.0", r.flags = "-O3", r.kind = "train", r.variant = "linformer";
  r.options = {
      {"rank", Index{64}}, {"rate", 1.0}, {"tied", true}, {"sharing", std::string("layer")}};
  r.task = "listops", r.task_label = "listops-128", r.task_options = {{"max_len", Index{128}}};
  r.settings = {{"model.layers", Index{2}}, {"train.learning_rate", 1e-4}};
  r.dataset_hash = "00ff", r.partial = true, r.preset = "quick", r.seed = ~std::uint64_t{0};
  r.threads = 3, r.track = "closed", r.tuning_budget = 3, r.scope = "kernel", r.pass = "train";
  r.length = 1024, r.heads = 8, r.head_dim = 64, r.batch = 2, r.causal = true;
  r.precision = "float32", r.group = "g", r.status = "NOT_LEARNED", r.error = "why\nnot";
  r.time_ns = {1.5, 2, 3}, r.time_ns_median = 2, r.time_ns_mad = 0.5, r.time_ns_cold = 9;
  r.tokens_per_s = 1e6, r.flops = 1e12, r.flops_per_s = 1e10, r.share_of_peak = 0.5;
  r.share_of_l1 = 0.75, r.workspace_bytes = 1 << 20, r.rss_peak_bytes = 1 << 21;
  r.analytic_bytes = 1000, r.parameters = 12345, r.max_error = 1e-7, r.steps = 500, r.wall_s = 1.25;
  r.learning_rate = {{"0", 0.0}, {"last", 1e-5}}, r.lengths = {{"min", 2}, {"max", 128}};
  r.loss_curve = {{1, 2.5, 0.1, 0.01}, {2, 2.25, 0.2, 0.02}}, r.validation_curve = {{2, 2, 0.5, 1}};
  r.validation_accuracy_best = 0.5, r.test_accuracy_best = 0.25, r.test_accuracy_last = 0.125;
  r.metrics = {{"rows left out", 40}}, r.correct = "f0a", r.sequence_starts = "8a8",
  r.chance_accuracy = 0.1;
  r.shortcut_accuracy = {{"root operator", 0.36}};
  return r;
}

TEST(Record, ComesBackAsItWas) {
  EXPECT_EQ(record_from_json(to_json(full_record()), "x"), full_record());
  Record small;
  small.id = "a", small.kind = "bench", small.variant = "dense";
  EXPECT_EQ(record_from_json(to_json(small), "x"), small);
}

TEST(Record, KeepsTheTypesOfOptions) {
  const Record read = record_from_json(to_json(full_record()), "x");
  EXPECT_TRUE(std::holds_alternative<double>(read.options.at("rate")));  // 1.0, not 1
  EXPECT_TRUE(std::holds_alternative<Index>(read.options.at("rank")));
}

TEST(Record, IsOneFlatLine) {
  const std::string text = to_json(full_record());
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_NE(text.find(R"("model.layers":2)"), std::string::npos);
  EXPECT_NE(text.find(R"("workspace_bytes":1048576.0)"), std::string::npos);
}

TEST(Record, LeavesOutWhatIsAbsentOrNotFinite) {
  Record r;
  r.id = "a", r.kind = "train", r.variant = "dense";
  r.wall_s = std::numeric_limits<double>::quiet_NaN();
  r.metrics = {{"bad", std::numeric_limits<double>::infinity()}, {"good", 1}};
  r.loss_curve = {{3, std::numeric_limits<double>::quiet_NaN(), 0.5, 1}};
  const std::string text = to_json(r);
  for (const char* absent : {"null", "nan", "inf", "wall_s\":null", "time_ns", "bad", "flops"}) {
    EXPECT_EQ(text.find(absent), std::string::npos) << absent << " in " << text;
  }
  const Record read = record_from_json(text, "x");
  EXPECT_FALSE(read.wall_s.has_value());
  EXPECT_TRUE(std::isnan(read.loss_curve.at(0).loss));
  EXPECT_EQ(read.loss_curve.at(0).accuracy, 0.5);
}

TEST(Record, IgnoresFieldsOfNewerVersions) {
  const Record r = record_from_json(
      R"({"schema":1,"id":"a","kind":"bench","variant":"dense","new_field":[1]})", "x");
  EXPECT_EQ(r.variant, "dense");
}

TEST(Record, NamesFileAndFieldOfAWrongType) {
  const auto read = [](const std::string& text) { record_from_json(text, "cells/a.json"); };
  const std::string head = R"({"schema":1,"id":"a","kind":"bench","variant":"dense",)";
  EXPECT_ERROR(read(head + R"("seed":"one"})"), "cells/a.json");
  EXPECT_ERROR(read(head + R"("seed":"one"})"), "'seed'");
  EXPECT_ERROR(read(head + R"("seed":"one"})"), "\"one\"");
  EXPECT_ERROR(read(head + R"("seed":-1})"), "'seed'");
  EXPECT_ERROR(read(head + R"("seed":-1})"), "-1");
  EXPECT_ERROR(read(head + R"("time_ns":[1,"x"]})"), "'time_ns'");
  EXPECT_ERROR(read(head + R"("time_ns":[1,"x"]})"), "a number");
  EXPECT_ERROR(read(head + R"("machine":{"cpu":3}})"), "'machine.cpu'");
  EXPECT_ERROR(read(head + R"("machine":{"cpu":3}})"), "a text");
  EXPECT_ERROR(read(head + R"("options":{"rank":[1]}})"), "'options.rank'");
  EXPECT_ERROR(read(R"({"schema":1,"id":"a"})"), "cells/a.json");
  EXPECT_ERROR(read(R"({"schema":1,"id":"a"})"), "'kind'");
  EXPECT_ERROR(read(head + R"("schema":99})"), "'schema'");
  EXPECT_ERROR(read(head + R"("schema":99})"), "99");
  EXPECT_ERROR(read(head), "cells/a.json");
  EXPECT_ERROR(read(head), "not one JSON object");
  EXPECT_ERROR(read(""), "0 bytes");
}

TEST(Record, RefusesNumbersOutOfRangeAndDeepLists) {
  const auto refused = [](const std::string& fields, const std::string& message) {
    const std::string start = R"({"schema":1,"id":"a","kind":"train","variant":"dense",)";
    EXPECT_ERROR(record_from_json(start + fields + "}", "r.json"), "r.json: field '" + message);
  };
  refused(R"("length":9223372036854775808)", "length' should be a whole number in range, is 92");
  refused(R"("seed":-1)", "seed' should be a whole number in range, is -1");
  refused(R"("options":{"rank":9223372036854775808})", "options.rank' should be a whole number");
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  refused("\"task\":" + deep, "task' should be a text, is array");
  refused("\"time_ns\":[" + deep + "]", "time_ns' should be a number, is array");
}

}  // namespace
}  // namespace arena
