// The text of a report.

#include "results/report/report.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "harness/core/check.hpp"
#include "results/report/parts.hpp"
#include "results/store.hpp"
#include "tests/report_records.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

RecordSet set_of(std::vector<Record> records) {
  Labels labels(records);
  return {.records = std::move(records), .labels = std::move(labels), .stale = {}};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

TEST(Report, HeadlineSaysWhatTheRecordsShow) {
  const auto found = findings(set_of(small_sweep()));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0],
            "At length 1024, linformer is 4.00 times as fast as exact attention (blocked), with "
            "1.00 times its workspace.");
  EXPECT_EQ(found[1],
            "On recall the highest mean test accuracy of 3 is 55.0 % (dense, 2 seeds; chance is "
            "10.0 %).");
}

TEST(Report, WarnsOfWhatSpoilsTheNumbers) {
  std::vector<Record> records = small_sweep();
  EXPECT_EQ(warnings(set_of(records)),
            std::vector<std::string>{
                "2 seeds per cell at least: with fewer than 5, nothing is claimed about seeds."});
  records[0].git_dirty = true, records[1].status = "OOM", records[2].machine.cpu = "Another";
  records[0].time_ns_mad = *records[0].time_ns_median * 0.2;
  EXPECT_EQ(warnings(set_of(records)).size(), 5U);
}

TEST(Report, CommandsNameEveryOption) {
  std::vector<Record> records{training("linformer", 3, 0.5), timing("local", 512, 1),
                              timing("dense", 512, 1), timing("other", 512, 1, "h"),
                              timing("peer/torch-sdpa", 512, 1)};
  records[0].options["rank"] = Index{16}, records[0].task_options["file"] = std::string("a'b");
  records[0].settings["train.steps"] = Index{20}, records[0].settings["model.dropout"] = 0.1;
  records[1].options["window"] = Index{4}, records[1].causal = true;
  const RecordSet set = set_of(records);
  EXPECT_EQ(command_of(set, set.records[0]),
            "./arena train --task 'recall[file=a'\\''b]' --variant 'linformer[rank=16]' --seeds 3 "
            "--set model.dropout=0.1 --set train.steps=20");
  EXPECT_EQ(command_of(set, set.records[1]),
            "./arena bench --variants 'local[window=4],dense' --scope kernel --pass forward "
            "--lengths 512 --heads 8 --head-dim 64 --batch 1 --threads 1 --causal "
            "--against torch");
}

TEST(Report, TextOfRecordsIsNeverMarkup) {
  std::vector<Record> records = small_sweep();
  const std::string bad = "</script><img src=x onerror=alert(1)>\"'&";
  for (Record& r : records) {
    r.variant = r.task = r.preset = r.error = r.machine.cpu = r.git_commit = bad;
    r.compiler = r.flags = r.date = r.status = r.group = bad, r.id += bad;
    r.options["x"] = bad;
  }
  const std::string page = report_page(records, {.dirs = {bad}, .stale = {}}, {});
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(count(page, "</script>"), 2U);
}

TEST(Report, AsksNothingOfTheNetwork) {
  const std::string page = report_page(small_sweep(), {.dirs = {"d"}, .stale = {}}, {});
  for (const char* part : {"http:", "https:", " src=", "@import", "url(", "fetch(", "<link"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(count(page, "class=\"cell\""), small_sweep().size());
}

TEST(Report, IsWholeWithoutGnuplotAndSaysWhatIsMissing) {
  const TemporaryFolder folder;
  const char* const path = std::getenv("PATH");
  const std::string before = path ? path : "";
  ::setenv("PATH", folder.path().c_str(), 1);
  const std::string file = folder.path() + "/r.html";
  const bool drawn = write_report(small_sweep(), {.dirs = {"d"}, .stale = {}}, file);
  ::setenv("PATH", before.c_str(), 1);
  EXPECT_FALSE(drawn);
  EXPECT_NE(read_file(file).find("gnuplot is not installed"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/r_figures"));
}

TEST(Report, RefusesOtherNamesAndNoRecords) {
  EXPECT_THROW(write_report(small_sweep(), {}, "report.pdf"), Error);
  EXPECT_THROW(write_report({}, {}, "report.html"), Error);
}

}  // namespace
}  // namespace arena
