#include "harness/machine/meter.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "harness/core/sanitizers.hpp"
#include "harness/core/workspace.hpp"
#include "tests/expect_error.hpp"

namespace arena {
namespace {

constexpr Index kMebibyte = Index{1} << 20;

std::vector<std::string> shell(const std::string& script) {
  return {"-c", script};
}

TEST(Meter, PeakOfResidentMemorySeesWhatWasTouchedAndFreed) {
#ifdef ARENA_SANITIZED
  GTEST_SKIP() << "sanitizers keep freed memory resident";
#endif
  reset_resident_peak();
  const Index before = resident_peak_bytes();
  {
    std::vector<char> block(static_cast<std::size_t>(64 * kMebibyte), 1);
    EXPECT_EQ(block[kMebibyte], 1);
  }
  const Index peak = resident_peak_bytes();
  EXPECT_GE(peak, before + 60 * kMebibyte);
  reset_resident_peak();
  EXPECT_LT(resident_peak_bytes(), peak - 30 * kMebibyte);
}

TEST(Meter, ProgramResultHoldsOutputAndExitCode) {
  const ProgramResult good = run_program("/bin/sh", shell("echo out; echo err >&2"));
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_EQ(good.output, "out\nerr\n");
  EXPECT_EQ(run_program("/bin/sh", shell("exit 7")).exit_code, 7);
  EXPECT_EQ(run_program("/bin/sh", shell("kill -9 $$")).exit_code, -9);
}

TEST(Meter, LongOutputOfAProgramDoesNotBlockIt) {
  const ProgramResult result =
      run_program("/bin/sh", shell("i=0; while [ $i -lt 30000 ]; do echo $i; i=$((i+1)); done"));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(result.output.ends_with("29999\n"));
}

TEST(Meter, MissingProgramIsAnError) {
  EXPECT_ERROR(run_program("/no/such/program", {}), "/no/such/program");
}

TEST(Meter, ATestHasNoMemoryProgram) {
  EXPECT_EQ(memory_program(), "");
}

}  // namespace
}  // namespace arena
