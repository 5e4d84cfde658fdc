#pragma once
// Records of a small sweep, and of one whose texts would be markup, for the tests of reports.

#include <cmath>
#include <string>
#include <vector>

#include "tests/some_records.hpp"

namespace arena {

inline std::vector<Record> small_sweep() {
  std::vector<Record> all;
  for (const char* variant : {"blocked", "dense", "linformer"}) {
    const double power = variant == std::string("linformer") ? 1 : 2;
    for (const Index length : {256, 512, 1024}) {
      const double ms = std::pow(static_cast<double>(length) / 256, power) * 2;
      Record r = timing(variant, length, ms, "group-" + std::to_string(length));
      r.time_ns = {ms * 0.98e6, ms * 1e6, ms * 1.05e6}, r.max_error = 1e-7;
      r.preset = "quick", r.threads = 1, r.date = "2026-01-02T03:04:05Z";
      all.push_back(r);
    }
    for (const std::uint64_t seed : {0, 1}) {
      Record r = training(variant, seed, 0.5 + 0.1 * static_cast<double>(seed));
      r.preset = "quick", r.date = "2026-01-02T03:04:05Z";
      r.tokens_per_s = 1000 * power;
      r.validation_curve = {{.step = 10, .loss = 1, .accuracy = 0.2, .wall_s = 1},
                            {.step = 20, .loss = 1, .accuracy = 0.5, .wall_s = 2}};
      all.push_back(r);
    }
  }
  return all;
}

}  // namespace arena
