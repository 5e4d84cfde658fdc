#include "results/report/report.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "harness/cli/command.hpp"
#include "harness/cli/reporting.hpp"
#include "harness/sweep/environment.hpp"
#include "results/store.hpp"

namespace arena {

void write_and_name_report(std::span<const Record> records, const std::vector<std::string>& dirs,
                           const std::string& file) {
  const bool drawn = write_report(records, {.dirs = dirs, .stale = is_stale}, file);
  fmt::print(stderr, "Report: {}\n", file);
  if (!drawn) {
    fmt::print(stderr, "No figures in it: gnuplot is missing (./arena packages figures)\n");
  }
}

namespace {

int make_report(const std::vector<std::string>& dirs, const std::string& out) {
  std::vector<Record> records;
  for (const std::string& dir : dirs) {
    const std::vector<Record> more = Store(dir).load();
    records.insert(records.end(), more.begin(), more.end());
  }
  const std::string folder = std::filesystem::path(out).parent_path().string();
  if (!folder.empty()) create_folder(folder);
  write_and_name_report(records, dirs, out);
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "report",
      "One self-contained page: figures, tables, every cell; figures also as SVG and PDF");
  const auto dirs = std::make_shared<std::vector<std::string>>();
  const auto out = std::make_shared<std::string>();
  command->add_option("DIR", *dirs, "Result folders: runs/quick")->required();
  command->add_option("--out", *out, "FILE.html; figures go into FILE_figures")->required();
  command->footer(
      "Nothing in the page is loaded from elsewhere: it can be mailed.\n"
      "Example:\n  arena report runs/quick --out quick.html");
  command->callback([=, &action] { action = [=] { return make_report(*dirs, *out); }; });
}

}  // namespace arena
