// The page as a reader has it: in Chromium, light and dark, at 1280 and 420 pixels.

#include <gtest/gtest.h>

#include <array>
#include <cstdio>

#include "results/figure/drawing.hpp"
#include "results/report/report.hpp"
#include "results/store.hpp"
#include "tests/report_records.hpp"
#include "tests/temporary_folder.hpp"

namespace arena {
namespace {

std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = ::popen(command.c_str(), "r");
  check(pipe != nullptr, "cannot run {}", command);
  std::array<char, 4096> buffer{};
  for (std::size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    text.append(buffer.data(), count);
  }
  ::pclose(pipe);
  return text;
}

/// Notes down what goes wrong in the page, from before its first line on.
constexpr const char* kWatch =
    "<script>window.problems=[];const note=(e)=>problems.push(String(e.message||e.violatedDirective"
    "||e));addEventListener('error',note);addEventListener('unhandledrejection',note);"
    "addEventListener('securitypolicyviolation',note);console.error=note;console.warn=note;"
    "</script>";

std::string probe(const std::string& folder, const std::string& flags) {
  return output_of(
      "timeout 60 chromium --headless --no-sandbox --disable-gpu --no-first-run "
      "--allow-file-access-from-files --window-size=1400,1000 --user-data-dir=" +
      folder + "/profile " + flags + " --virtual-time-budget=20000 --dump-dom file://" + folder +
      "/probe.html 2>/dev/null");
}

std::string result_in(const std::string& page) {
  const std::string open = "<pre id=\"result\">";
  const std::size_t start = page.find(open);
  if (start == std::string::npos) return "no answer: " + page.substr(0, 300);
  const std::size_t from = start + open.size();
  return page.substr(from, page.find("</pre>", from) - from);
}

TEST(ReportPage, WorksInABrowserAtBothWidthsInLightAndDark) {
  if (output_of("command -v chromium").empty()) GTEST_SKIP() << "chromium is not installed";
  if (output_of("command -v gnuplot").empty()) GTEST_SKIP() << "gnuplot is not installed";
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/report.html";
  ASSERT_TRUE(write_report(small_sweep(), {.dirs = {"runs/quick"}, .stale = {}}, file));
  std::string page = read_file(file);
  page.insert(page.find("<meta charset"), kWatch);
  write_file_atomically(file, page);
  write_file_atomically(folder.path() + "/probe.html",
                        read_file(ARENA_SOURCE_DIR "/tests/report_probe.html"));
  EXPECT_EQ(result_in(probe(folder.path(), "--blink-settings=preferredColorScheme=1")),
            "light: fine");
  EXPECT_EQ(result_in(probe(folder.path(), "--blink-settings=preferredColorScheme=0")),
            "dark: fine");
}

}  // namespace
}  // namespace arena
