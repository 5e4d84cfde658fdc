// Reports as a person gets them: at the end of a sweep and by name; and what their commands do.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "results/store.hpp"
#include "tests/cli.hpp"

namespace arena {
namespace {

class ReportCli : public Program {
 protected:
  void SetUp() override {
    write("small.toml", R"([[train]]
variants = ["linformer[rank=8]"]
tasks = ["recall[pairs=2,queries=2,keys=8,values=8,gap=1]"]
seeds = [1]
model.dim = 8
model.layers = 1
model.hidden = 8
model.head_hidden = 8
train.batch = 2
train.steps = 3
train.evaluation_samples = 16
[[bench]]
variants = ["dense", "linformer[rank=8]"]
lengths = [32]
repetitions = 2
)");
  }

  nlohmann::json cells_of(const std::string& page) const {
    const std::string open = "id=\"cells-data\">";
    const std::size_t from = page.find(open) + open.size();
    return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
  }
};

TEST_F(ReportCli, ASweepEndsByWritingItsReport) {
  const Outcome swept = run("sweep small.toml");
  EXPECT_EQ(swept.exit_code, 0) << swept.err;
  EXPECT_NE(swept.err.find("Report: runs/small/report.html\n"), std::string::npos) << swept.err;
  const std::string page = read_file(file("runs/small/report.html"));

  const Outcome named = run("report runs/small --out pages/mine.html");
  EXPECT_EQ(named.exit_code, 0) << named.err;
  EXPECT_EQ(read_file(file("pages/mine.html")), page);
  const bool drawn = named.err.find("gnuplot is missing") == std::string::npos;
  EXPECT_EQ(std::filesystem::exists(file("pages/mine_figures/time_kernel_forward.svg")), drawn);
  EXPECT_EQ(std::filesystem::exists(file("pages/mine_figures/time_kernel_forward.pdf")), drawn);

  EXPECT_EQ(run("report runs/small --out mine.pdf").exit_code, 2);
  EXPECT_EQ(run("report nowhere --out mine.html").exit_code, 2);
}

TEST_F(ReportCli, CommandsRepeatTheVeryCell) {
  ASSERT_EQ(run("sweep small.toml").exit_code, 0);
  const auto cells = cells_of(read_file(file("runs/small/report.html")));
  ASSERT_EQ(cells.size(), 3U);
  for (const auto& cell : cells) {
    const std::string command = cell["command"].get<std::string>().substr(sizeof("./arena"));
    EXPECT_EQ(run(command + " --out again").exit_code, 0) << command;
    const std::string id = cell["key"];
    EXPECT_TRUE(std::filesystem::exists(file("again/cells/" + id + ".json"))) << command;
    const std::string rerun = cell["rerun"].get<std::string>().substr(sizeof("./arena"));
    EXPECT_EQ(rerun, "rerun runs/small/cells/" + id + ".json");
  }
}

}  // namespace
}  // namespace arena
