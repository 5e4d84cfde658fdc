#include "results/table.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "results/format.hpp"
#include "tests/expect_error.hpp"
#include "tests/some_records.hpp"

namespace arena {
namespace {

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

const TableRequest kTrainings{.view = "trainings",
                              .columns = {"variant", "seeds", "test_accuracy_percent"}};

TableRequest trainings_as(const std::string& format) {
  TableRequest request = kTrainings;
  request.format = format;
  return request;
}

TEST(Table, Markdown) {
  EXPECT_EQ(shown(trainings_as("md")), R"(| variant | seeds | test_accuracy_percent |
|---|---:|---:|
| dense | 2 | 99.0 ± 1.4 |
| local | 2 | 12.0 ± 1.4 (1 of 2 NOT_LEARNED) |

- Machine: Test CPU, 2 cores, x86-64-v3.
- 2 seeds: with fewer than 5, nothing is claimed about seeds.
- NOT_LEARNED: local on recall: 11 % is not above 12.5 %
)");
}

TEST(Table, Tex) {
  EXPECT_EQ(shown(trainings_as("tex")), R"(\begin{table}
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
      shown(trainings_as("csv")),
      R"(variant,seeds,test_accuracy_percent,test_accuracy_percent deviation,test_accuracy_percent remark
dense,2,99.0,1.4,
local,2,12.0,1.4,1 of 2 NOT_LEARNED
# Machine: Test CPU, 2 cores, x86-64-v3.
# 2 seeds: with fewer than 5, nothing is claimed about seeds.
# NOT_LEARNED: local on recall: 11 % is not above 12.5 %
)");
}

TEST(Table, JsonLines) {
  EXPECT_EQ(shown(trainings_as("jsonl")),
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

TEST(Table, EachFormatHasItsMarks) {
  const auto cell = [](const char* text, const char* mark) {
    return GridCell{.text = text, .deviation = "1.0", .mark = mark, .number = true};
  };
  const Tables tables{.grids = {{.title = "",
                                 .columns = {"variant", "recall"},
                                 .rows = {{words("dense"), cell("99.0", kBest)},
                                          {words("local"), cell("98.0", kTied)},
                                          {words("linear"), cell("9.0", "")}}}},
                      .notes = {}};
  EXPECT_EQ(format_tables(tables, "text"),
            "variant        recall\ndense    99.0 ± 1.0 *\nlocal    98.0 ± 1.0 ≈\n"
            "linear    9.0 ± 1.0\n\n");
  EXPECT_EQ(format_tables(tables, "md"),
            "| variant | recall |\n|---|---:|\n| dense | **99.0 ± 1.0** |\n"
            "| local | 98.0 ± 1.0 ≈ |\n| linear | 9.0 ± 1.0 |\n\n");
  const std::string tex = format_tables(tables, "tex");
  EXPECT_NE(tex.find("dense & \\textbf{99.0 $\\pm$ 1.0} \\\\"), std::string::npos) << tex;
  EXPECT_NE(tex.find("local & 98.0 $\\pm$ 1.0 $\\approx$ \\\\"), std::string::npos) << tex;
  EXPECT_EQ(format_tables(tables, "csv"),
            "variant,recall,recall deviation,recall mark\ndense,99.0,1.0,best\n"
            "local,98.0,1.0,tied\nlinear,9.0,1.0,\n");
  EXPECT_EQ(format_tables(tables, "jsonl").substr(0, 81),
            R"({"variant":"dense","recall":99.0,"recall deviation":1.0,"recall mark":"best"})"
            "\n{\"v");
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
      table(all, {.view = "trainings", .format = "csv", .columns = {"variant", "seeds"}});
  EXPECT_NE(text.find("linformer[rank=8],1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Options: linformer[rank=8|16,sharing=layer]."), std::string::npos) << text;
  all[1].options = all[0].options;
  all[0].settings = {{"train.learning_rate", 0.5}};
  all[1].settings = {{"train.learning_rate", 0.25}};
  const std::string settings = table(all, {.view = "trainings", .format = "csv"});
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

TEST(Table, SeedsThatMissInFiguresOnlyShareALine) {
  std::vector<Record> all{training("local", 2, 0.13), training("local", 0, 0.11),
                          training("local", 1, 0.12)};
  for (Record& record : all) {
    record.status = "NOT_LEARNED", record.error = fmt::format("seed {} fails", record.seed);
  }
  const std::string text = table(all, {.view = "trainings"});
  EXPECT_NE(text.find("\nNOT_LEARNED: local on recall, the first of 3 seeds: seed 0 fails\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("seed 1 fails"), std::string::npos) << text;
  for (Record& record : all) record.error = "no luck";
  const std::string same = table(all, {.view = "trainings"});
  EXPECT_NE(same.find("\nNOT_LEARNED: local on recall: no luck\n"), std::string::npos) << same;
}

TEST(Table, RowsSayTheLengthAndTheSubsetOfATask) {
  std::vector<Record> all{training("dense", 0, 0.5), training("dense", 0, 0.75)};
  all[1].id = "other";
  for (Record& record : all) record.task = "text", record.task_label = "text-4096";
  all[1].partial = true;
  const std::string text =
      table(all, {.view = "trainings", .format = "csv", .columns = {"task", "variant"}});
  EXPECT_NE(text.find("text-4096,dense\n"), std::string::npos) << text;
  EXPECT_NE(text.find("text-4096 PARTIAL,dense\n"), std::string::npos) << text;
}

TEST(Table, SaysWhoDidTheCrossAttention) {
  std::vector<Record> all = records();
  for (Record& record : all) record.task = record.kind == "train" ? "transduce" : "";
  EXPECT_EQ(table(all, {}).find("cross attention"), std::string::npos);
  all[4].metrics["cross_attention_by_blocked"] = 1;
  EXPECT_NE(table(all, {}).find("local on transduce: cross attention by blocked."),
            std::string::npos);
}

TEST(Table, ShowsHowManySequencesAreRightAsAWhole) {
  std::vector<Record> all{training("dense", 0, 0.5), training("dense", 1, 0.5),
                          training("local", 0, 0.5)};
  for (Record& record : all) record.task = "transduce";
  all[0].metrics["test_sequence_accuracy"] = 0.25;
  all[1].metrics["test_sequence_accuracy"] = 0.125;
  const std::string text = table(
      all,
      {.view = "trainings", .format = "csv", .columns = {"variant", "test_sequences_percent"}});
  EXPECT_NE(text.find("dense,18.8\nlocal,-\n"), std::string::npos) << text;
}

TEST(Table, OfTheSameCellTheNewestCounts) {
  std::vector<Record> all{training("dense", 0, 0.5), training("dense", 0, 0.75)};
  all[0].date = "2026-01-02T00:00:00Z", all[1].date = "2026-01-01T00:00:00Z";
  const std::string text = table(all, trainings_as("csv"));
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
