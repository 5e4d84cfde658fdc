#include "harness/machine/machine.hpp"

#include <gtest/gtest.h>

#include "harness/cli/cpu_guard.hpp"
#include "harness/machine/peak.hpp"

namespace arena {
namespace {

TEST(Machine, SaysWhatItIs) {
  const MachineInfo machine = machine_info();
  EXPECT_FALSE(machine.cpu.empty());
  EXPECT_GE(machine.cores, 1);
  EXPECT_TRUE(machine.isa.starts_with("x86-64-v") || machine.isa == "native") << machine.isa;
  EXPECT_GT(machine.memory_bytes, Index{1} << 26);
  for (const std::string& cache : machine.caches) {
    EXPECT_TRUE(cache.starts_with("L") && cache.ends_with(" KiB")) << cache;
  }
  EXPECT_EQ(machine, machine_info());
}

TEST(Machine, FreeMemoryIsPartOfAllMemory) {
  EXPECT_GT(available_memory_bytes(), 0);
  EXPECT_LE(available_memory_bytes(), machine_info().memory_bytes);
}

TEST(Machine, SpoilersAreSentences) {
  for (const std::string& text : timing_spoilers()) {
    EXPECT_GT(text.size(), 10U);
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

TEST(Peak, ProbesGivePositiveFiniteNumbers) {
  Workers workers(2);
  const ComputeLimits limits = measure_compute(workers.team());
  // Above a gigaflop everywhere, below what no two threads reach: a chain that the compiler
  // computes once, or not at all, would be far above.
  for (const double rate :
       {limits.peak_flops_per_s, limits.l1_flops_per_s, L1Probe(workers.team()).rate()}) {
    EXPECT_GT(rate, 1e8);
    EXPECT_LT(rate, 1e12);
  }
  const Noise noise = measure_noise();
  EXPECT_GE(noise.spread, 0);
  EXPECT_GE(noise.interruptions, 0);
  EXPECT_EQ(workers.high_water(), 0);
}

TEST(CpuGuard, FindsTheFirstMissingFeature) {
  const unsigned v2 = kSse42 | kPopcnt;
  const unsigned v3 = v2 | kAvx | kAvx2 | kFma | kBmi2;
  const unsigned v4 = v3 | kAvx512f | kAvx512bw | kAvx512cd | kAvx512dq | kAvx512vl;
  EXPECT_EQ(missing_feature(v3, v4), nullptr);
  EXPECT_EQ(missing_feature(v4, v4), nullptr);
  EXPECT_STREQ(missing_feature(v4, v3), "AVX-512");
  EXPECT_STREQ(missing_feature(v4, v4 & ~kAvx512vl), "AVX-512");
  EXPECT_STREQ(missing_feature(v3, v3 & ~kFma), "FMA");
  EXPECT_STREQ(missing_feature(v3, v2), "AVX");
  EXPECT_STREQ(missing_feature(v2, 0), "SSE4.2");
  EXPECT_STREQ(highest_level(v4), "x86-64-v4");
  EXPECT_STREQ(highest_level(v4 & ~kAvx512dq), "x86-64-v3");
  EXPECT_STREQ(highest_level(v2), "x86-64-v2");
}

TEST(CpuGuard, KnowsWhatThisBinaryNeeds) {
  const std::string isa = isa_level();
  if (isa == "x86-64-v4") {
    EXPECT_STREQ(missing_feature(required_features(), kSse42), "POPCNT");
    EXPECT_TRUE((required_features() & kAvx512vl) != 0);
  } else if (isa == "x86-64-v3") {
    EXPECT_EQ(highest_level(required_features()), std::string("x86-64-v3"));
  } else if (isa == "x86-64-v2") {
    EXPECT_EQ(required_features(), kSse42 | kPopcnt);
  }
}

}  // namespace
}  // namespace arena
