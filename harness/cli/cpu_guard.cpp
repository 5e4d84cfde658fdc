// A binary that starts on a processor without its instructions says so instead of dying: before any
// other constructor of the program runs.

#include "harness/cli/cpu_guard.hpp"

#include <unistd.h>

namespace arena {
namespace {

constexpr int kUsageError = 2;

ARENA_PLAIN_X86_64 unsigned present_features() {
  __builtin_cpu_init();
  unsigned features = 0;
  if (__builtin_cpu_supports("sse4.2")) features |= kSse42;
  if (__builtin_cpu_supports("popcnt")) features |= kPopcnt;
  if (__builtin_cpu_supports("avx")) features |= kAvx;
  if (__builtin_cpu_supports("avx2")) features |= kAvx2;
  if (__builtin_cpu_supports("fma")) features |= kFma;
  if (__builtin_cpu_supports("bmi2")) features |= kBmi2;
  if (__builtin_cpu_supports("avx512f")) features |= kAvx512f;
  if (__builtin_cpu_supports("avx512bw")) features |= kAvx512bw;
  if (__builtin_cpu_supports("avx512cd")) features |= kAvx512cd;
  if (__builtin_cpu_supports("avx512dq")) features |= kAvx512dq;
  if (__builtin_cpu_supports("avx512vl")) features |= kAvx512vl;
  return features;
}

/// Written by hand: the C library may choose by processor, the rest of this binary may not run.
ARENA_PLAIN_X86_64 void say(const char* text) {
  unsigned long length = 0;
  while (text[length] != '\0') ++length;
  static_cast<void>(!write(STDERR_FILENO, text, length));
}

ARENA_PLAIN_X86_64 __attribute__((constructor(101))) void check_processor() {
  const unsigned present = present_features();
  const char* const missing = missing_feature(required_features(), present);
  if (missing == nullptr) return;
  say("arena: this binary needs ");
  say(missing);
  say(", which this processor lacks; rebuild with -DARENA_ISA=auto or -DARENA_ISA=");
  say(highest_level(present));
  say("\n");
  _exit(kUsageError);
}

}  // namespace
}  // namespace arena
