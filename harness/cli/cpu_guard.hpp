#pragma once
// What instructions a binary needs and a processor has, as bits. These functions run before it is
// known that the processor has what the rest of the binary was built for: plain x86-64 only.

namespace arena {

#define ARENA_PLAIN_X86_64 __attribute__((target("arch=x86-64")))

enum CpuFeature : unsigned {
  kSse42 = 1U << 0,
  kPopcnt = 1U << 1,
  kAvx = 1U << 2,
  kAvx2 = 1U << 3,
  kFma = 1U << 4,
  kBmi2 = 1U << 5,
  kAvx512f = 1U << 6,
  kAvx512bw = 1U << 7,
  kAvx512cd = 1U << 8,
  kAvx512dq = 1U << 9,
  kAvx512vl = 1U << 10,
};

/// What the compiler was allowed to use in this binary.
constexpr unsigned required_features() {
  unsigned features = 0;
#ifdef __SSE4_2__
  features |= kSse42;
#endif
#ifdef __POPCNT__
  features |= kPopcnt;
#endif
#ifdef __AVX__
  features |= kAvx;
#endif
#ifdef __AVX2__
  features |= kAvx2;
#endif
#ifdef __FMA__
  features |= kFma;
#endif
#ifdef __BMI2__
  features |= kBmi2;
#endif
#ifdef __AVX512F__
  features |= kAvx512f;
#endif
#ifdef __AVX512BW__
  features |= kAvx512bw;
#endif
#ifdef __AVX512CD__
  features |= kAvx512cd;
#endif
#ifdef __AVX512DQ__
  features |= kAvx512dq;
#endif
#ifdef __AVX512VL__
  features |= kAvx512vl;
#endif
  return features;
}

/// Name of the first feature that is required but not present; null when none is missing.
ARENA_PLAIN_X86_64 constexpr const char* missing_feature(unsigned required, unsigned present) {
  const unsigned missing = required & ~present;
  if (missing == 0) return nullptr;
  switch (missing & (0U - missing)) {  // the lowest bit
    case kSse42:
      return "SSE4.2";
    case kPopcnt:
      return "POPCNT";
    case kAvx:
      return "AVX";
    case kAvx2:
      return "AVX2";
    case kFma:
      return "FMA";
    case kBmi2:
      return "BMI2";
    default:
      return "AVX-512";
  }
}

/// The highest ARENA_ISA that a processor with these features runs.
ARENA_PLAIN_X86_64 constexpr const char* highest_level(unsigned present) {
  const unsigned v3 = kSse42 | kPopcnt | kAvx | kAvx2 | kFma | kBmi2;
  const unsigned v4 = v3 | kAvx512f | kAvx512bw | kAvx512cd | kAvx512dq | kAvx512vl;
  if ((present & v4) == v4) return "x86-64-v4";
  return (present & v3) == v3 ? "x86-64-v3" : "x86-64-v2";
}

}  // namespace arena
