#include "results/table.hpp"

#include <gtest/gtest.h>

#include "tests/expect_error.hpp"

namespace arena {
namespace {

const MachineInfo kMachine{.cpu = "Test CPU", .cores = 2, .caches = {}, .isa = "x86-64-v3"};

Record timing(const std::string& variant, Index length, double median_ms,
              const std::string& group = "g") {
  Record r;
  r.id = variant + std::to_string(length), r.kind = "bench", r.variant = variant;
  r.machine = kMachine, r.scope = "kernel", r.pass = "forward", r.length = length;
  r.heads = 8, r.head_dim = 64, r.batch = 1, r.group = group;
  r.time_ns_median = median_ms * 1e6, r.workspace_bytes = 1 << 20, r.analytic_bytes = 1 << 20;
  return r;
}

Record training(const std::string& variant, std::uint64_t seed, double accuracy) {
  Record r;
  r.id = variant + "-" + std::to_string(seed), r.kind = "train", r.variant = variant;
  r.machine = kMachine, r.task = "recall", r.seed = seed, r.test_accuracy_best = accuracy;
  r.chance_accuracy = 0.1, r.shortcut_accuracy = {{"majority", 0.125}};
  r.parameters = 1234, r.tokens_per_s = 5000, r.workspace_bytes = 1 << 20;
  return r;
}

std::vector<Record> records() {
  std::vector<Record> all{timing("local", 256, 1.5),  timing("dense", 256, 3),
                          timing("local", 512, 3.25), timing("dense", 512, 13),
                          training("local", 0, 0.11), training("local", 1, 0.13),
                          training("dense", 0, 0.98), training("dense", 1, 1.0)};
  all[4].status = "NOT_LEARNED", all[4].error = "11 % is not above 12.5 %";
  return all;
}

std::string shown(const TableRequest& request) {
  return table(records(), request);
}

constexpr const char* kText = R"(Speed: median ms (kernel forward, 8 heads of 64, 1 thread)
variant   256   512  x dense at 512
dense    3.00  13.0            1.00
local    1.50  3.25            4.00

Memory at length 512: MiB beside inputs and outputs (kernel forward, 8 heads of 64, 1 thread)
variant  workspace  by formula  process peak
dense         1.00        1.00  -
local         1.00        1.00  -

Training: mean over seeds
variant  recall tokens/s  recall MiB  recall parameters
dense               5000        1.00               1234
local               5000        1.00               1234

Accuracy: % of the test split, weights best on validation; mean ± standard deviation over seeds
variant                              recall
dense                            99.0 ± 1.4
local       12.0 ± 1.4 (1 of 2 NOT_LEARNED)
(chance)                               10.0
(majority)                             12.5

Machine: Test CPU, 2 cores, x86-64-v3.
2 seeds: with fewer than 5, nothing is claimed about seeds.
NOT_LEARNED: local on recall: 11 % is not above 12.5 %
)";

TEST(Table, SummaryForATerminal) {
  EXPECT_EQ(shown({}), kText);
}

const TableRequest kAccuracy{.view = "accuracy",
                             .columns = {"variant", "seeds", "test_accuracy_percent"}};

TableRequest accuracy_as(const std::string& format) {
  TableRequest request = kAccuracy;
  request.format = format;
  return request;
}

TEST(Table, Markdown) {
  EXPECT_EQ(shown(accuracy_as("md")), R"(| variant | seeds | test_accuracy_percent |
|---|---:|---:|
| dense | 2 | 99.0 ± 1.4 |
| local | 2 | 12.0 ± 1.4 (1 of 2 NOT_LEARNED) |

- Machine: Test CPU, 2 cores, x86-64-v3.
- 2 seeds: with fewer than 5, nothing is claimed about seeds.
- NOT_LEARNED: local on recall: 11 % is not above 12.5 %
)");
}

TEST(Table, Tex) {
  EXPECT_EQ(shown(accuracy_as("tex")), R"(\begin{table}
\centering
\begin{tabular}{lrr}
\toprule
variant & seeds & test\_accuracy\_percent \\
\midrule
dense & 2 & 99.0 $\pm$ 1.4 \\
local & 2 & 12.0 $\pm$ 1.4 (1 of 2 NOT\_LEARNED) \\
\bottomrule
\end{tabular}
\end{table}

\noindent{\footnotesize Machine: Test CPU, 2 cores, x86-64-v3.}\par
\noindent{\footnotesize 2 seeds: with fewer than 5, nothing is claimed about seeds.}\par
\noindent{\footnotesize NOT\_LEARNED: local on recall: 11 \% is not above 12.5 \%}\par
)");
}

TEST(Table, Csv) {
  EXPECT_EQ(
      shown(accuracy_as("csv")),
      R"(variant,seeds,test_accuracy_percent,test_accuracy_percent deviation,test_accuracy_percent remark
dense,2,99.0,1.4,
local,2,12.0,1.4,1 of 2 NOT_LEARNED
# Machine: Test CPU, 2 cores, x86-64-v3.
# 2 seeds: with fewer than 5, nothing is claimed about seeds.
# NOT_LEARNED: local on recall: 11 % is not above 12.5 %
)");
}

TEST(Table, JsonLines) {
  EXPECT_EQ(shown(accuracy_as("jsonl")),
            R"({"variant":"dense","seeds":2,"test_accuracy_percent":99.0,)"
            R"("test_accuracy_percent deviation":1.4,"test_accuracy_percent remark":null})"
            "\n"
            R"({"variant":"local","seeds":2,"test_accuracy_percent":12.0,)"
            R"("test_accuracy_percent deviation":1.4,)"
            R"("test_accuracy_percent remark":"1 of 2 NOT_LEARNED"})"
            "\n");
}

TEST(Table, Json) {
  TableRequest request{
      .view = "timings", .format = "json", .filter = "dense", .columns = {"length", "median_ms"}};
  EXPECT_EQ(shown(request), R"({
  "tables": [
    {
      "title": "",
      "rows": [
        {
          "length": 256,
          "median_ms": 3.0
        },
        {
          "length": 512,
          "median_ms": 13.0
        }
      ]
    }
  ],
  "notes": [
    "Machine: Test CPU, 2 cores, x86-64-v3.",
    "2 seeds: with fewer than 5, nothing is claimed about seeds."
  ]
}
)");
}

TEST(Table, DoesNotDependOnTheOrderOfRecords) {
  std::vector<Record> all = records();
  const std::string before = table(all, {});
  std::ranges::reverse(all);
  EXPECT_EQ(table(all, {}), before);
}

TEST(Table, SortsAndFilters) {
  const std::string sorted = shown({.view = "timings",
                                    .format = "csv",
                                    .sort = "-median_ms",
                                    .columns = {"variant", "median_ms"}});
  EXPECT_EQ(sorted.substr(0, sorted.find('#')),
            "variant,median_ms\ndense,13.0\nlocal,3.25\ndense,3.00\nlocal,1.50\n");
  const std::string local = shown({.filter = "^local.*train"});
  EXPECT_EQ(local.find("dense"), std::string::npos);
  EXPECT_EQ(local.find("Speed"), std::string::npos);
}

/// Times in ms at lengths 1024, 2048, ... with flops as the square of the length, or as the length
/// where the name says so.
std::vector<Record> growing(const std::vector<std::pair<std::string, std::vector<double>>>& rows) {
  std::vector<Record> all;
  for (const auto& [variant, times] : rows) {
    double n = 1;
    for (const double time : times) {
      all.push_back(timing(variant, static_cast<Index>(1024 * n), time));
      all.back().flops = variant.starts_with("linear") ? 4e9 * n : 40e9 * n * n;
      all.back().share_of_peak = 0.5 / n;
      n *= 2;
    }
  }
  return all;
}

/// Slopes, intervals and crossings were computed apart, in Python.
constexpr const char* kSpeed = R"(Speed: median ms (kernel forward, 8 heads of 64, 1 thread)
variant    1024  2048  4096  8192  slope     low   high  short     beats blocked
dense      3.00  12.0  48.0   OOM  1.000   1.000  1.000  -      never up to 4096
blocked    1.00  4.00  16.0  64.0  1.000   1.000  1.000  -                     -
fades     0.900  3.00  14.0  70.0  1.136   0.954  1.319  1024    only up to 6202
linear_a   2.00  4.40  8.00  16.0  0.986   0.830  1.143  -                  2227
linear_b  0.500  1.00  2.20  4.00  1.000  -0.009  2.009  1024             always

Time and flops as parts of those of blocked (kernel forward, 8 heads of 64, 1 thread)
variant   time 1024  time 2048  time 4096  time 8192  flops 1024  flops 2048  flops 4096  flops 8192
dense          3.00       3.00       3.00          -        1.00        1.00        1.00        1.00
blocked        1.00       1.00       1.00       1.00        1.00        1.00        1.00        1.00
fades         0.900      0.750      0.875       1.09        1.00        1.00        1.00        1.00
linear_a       2.00       1.10      0.500      0.250       0.100      0.0500      0.0250      0.0125
linear_b      0.500      0.250      0.138     0.0625       0.100      0.0500      0.0250      0.0125

% of the peak multiply-add rate (kernel forward, 8 heads of 64, 1 thread)
variant   1024  2048  4096  8192
dense     50.0  25.0  12.5     -
blocked   50.0  25.0  12.5  6.25
fades     50.0  25.0  12.5  6.25
linear_a  50.0  25.0  12.5  6.25
linear_b  50.0  25.0  12.5  6.25

)";

TEST(Table, SpeedOverLengths) {
  std::vector<Record> all = growing({{"blocked", {1, 4, 16, 64}},
                                     {"linear_a", {2, 4.4, 8, 16}},
                                     {"linear_b", {0.5, 1, 2.2, 4}},
                                     {"dense", {3, 12, 48, 0}},
                                     {"fades", {0.9, 3, 14, 70}}});
  Record& refused = *std::ranges::find_if(
      all, [](const Record& r) { return r.variant == "dense" && r.length == 8192; });
  refused.status = "OOM", refused.time_ns_median.reset(), refused.share_of_peak.reset();
  const std::string text = table(all, {.view = "speed"});
  EXPECT_EQ(text.substr(0, text.find("slope:")), kSpeed);
  EXPECT_NE(text.find("beats blocked:"), std::string::npos) << text;
}

TEST(Table, SpeedKeepsMachinesGroupsAndPrecisionsApart) {
  std::vector<Record> all = growing({{"blocked", {1, 4}}, {"local", {2, 3}}});
  for (Record& r : growing({{"blocked", {10, 40}}, {"local", {2, 3}}})) {
    r.machine.cpu = "Other CPU";
    if (r.variant == "local") r.group = "other";
    all.push_back(std::move(r));
  }
  const std::string text = table(all, {.view = "speed", .format = "csv"});
  const auto holds = [&](const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(holds("1 thread, on Test CPU)\nvariant,1024")) << text;
  EXPECT_TRUE(holds("1 thread, on Other CPU)\nvariant,1024")) << text;
  EXPECT_TRUE(holds("local,2.00,3.00,0.292,-,-,-,1671\n")) << text;
  EXPECT_TRUE(holds("local,2.00,3.00,0.292,-,-,-,-\n")) << text;  // not in one group with blocked
  EXPECT_TRUE(holds("2 machines, whose times do not compare")) << text;

  all = {timing("blocked", 1024, 1), timing("blocked", 1024, 4)};
  all[0].id = "b", all[0].options = {{"precision", std::string("bfloat16")}};
  all[1].options = {{"precision", std::string("float32")}};
  all[0].precision = "bfloat16";
  const std::string rows = table(all, {.view = "speed", .format = "csv"});
  EXPECT_NE(rows.find("blocked[precision=bfloat16],0.250"), std::string::npos) << rows;
}

TEST(Table, ComparesTimesOnlyWithinOneGroup) {
  const std::vector<Record> all{timing("dense", 256, 3, "one"), timing("local", 256, 1.5, "two")};
  const std::string text =
      table(all, {.view = "timings", .format = "csv", .columns = {"variant", "times_dense"}});
  EXPECT_EQ(text.substr(0, text.find('#')), "variant,times_dense\ndense,1.00\nlocal,-\n");
}

TEST(Table, ShowsOptionsThatDiffer) {
  std::vector<Record> all{training("linformer", 0, 0.5), training("linformer", 1, 0.5)};
  all[0].options = {{"rank", Index{8}}, {"sharing", std::string("layer")}};
  all[1].options = {{"rank", Index{16}}, {"sharing", std::string("layer")}};
  const std::string text =
      table(all, {.view = "accuracy", .format = "csv", .columns = {"variant", "seeds"}});
  EXPECT_NE(text.find("linformer[rank=8],1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Options: linformer[rank=8|16,sharing=layer]."), std::string::npos) << text;
  all[1].options = all[0].options;
  all[0].settings = {{"train.learning_rate", 0.5}};
  all[1].settings = {{"train.learning_rate", 0.25}};
  const std::string settings = table(all, {.view = "accuracy", .format = "csv"});
  EXPECT_NE(settings.find("linformer learning_rate=0.5,"), std::string::npos) << settings;
}

TEST(Table, SaysWhatFailedAndWhatIsStale) {
  std::vector<Record> all = records();
  all[0].status = "OOM", all[0].error = "not enough memory", all[0].time_ns_median.reset();
  all[6].partial = true;
  TableRequest request;
  request.stale = [](const Record& r) { return r.seed == 1; };
  const std::string text = table(all, request);
  EXPECT_NE(text.find("local     OOM  3.25"), std::string::npos) << text;
  EXPECT_NE(text.find("2 of 8 records are stale"), std::string::npos) << text;
  EXPECT_NE(text.find("PARTIAL: 1 records"), std::string::npos) << text;
  EXPECT_NE(text.find("OOM: local: not enough memory"), std::string::npos) << text;
}

TEST(Table, RowsSayTheLengthAndTheSubsetOfATask) {
  std::vector<Record> all{training("dense", 0, 0.5), training("dense", 0, 0.75)};
  all[1].id = "other";
  for (Record& record : all) record.task = "text", record.task_label = "text-4096";
  all[1].partial = true;
  const std::string text =
      table(all, {.view = "accuracy", .format = "csv", .columns = {"task", "variant"}});
  EXPECT_NE(text.find("text-4096,dense\n"), std::string::npos) << text;
  EXPECT_NE(text.find("text-4096 PARTIAL,dense\n"), std::string::npos) << text;
}

TEST(Table, OfTheSameCellTheNewestCounts) {
  std::vector<Record> all{training("dense", 0, 0.5), training("dense", 0, 0.75)};
  all[0].date = "2026-01-02T00:00:00Z", all[1].date = "2026-01-01T00:00:00Z";
  const std::string text = table(all, accuracy_as("csv"));
  EXPECT_NE(text.find("dense,1,50.0"), std::string::npos) << text;
}

TEST(Table, RefusesWhatItDoesNotKnow) {
  EXPECT_ERROR(shown({.view = "acuracy"}), "did you mean 'accuracy'");
  EXPECT_ERROR(shown({.format = "cvs"}), "did you mean 'csv'");
  EXPECT_ERROR(shown({.view = "timings", .sort = "medain_ms"}), "did you mean 'median_ms'");
  EXPECT_ERROR(shown({.view = "timings", .columns = {"lenght"}}), "did you mean 'length'");
  EXPECT_ERROR(shown({.filter = "("}), "bad --filter '('");
  EXPECT_ERROR(shown({.filter = "nothing here"}), "none of 8 records");
  EXPECT_ERROR(table({}, {}), "no records");
}

}  // namespace
}  // namespace arena
