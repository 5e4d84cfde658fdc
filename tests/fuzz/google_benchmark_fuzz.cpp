// Google Benchmark's JSON, as compare reads it: what is taken can be compared.

#include <algorithm>
#include <cmath>

#include "results/sources.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  read_or_refuse([&] {
    for (const Record& record : google_benchmark_records(text_of(data, size), "report.json")) {
      require(!record.variant.empty() && record.machine.cores >= 0);
      require(record.time_ns.empty() == !record.time_ns_median.has_value());
      require(std::ranges::all_of(record.time_ns,
                                  [](double ns) { return std::isfinite(ns) && ns >= 0; }));
      to_json(record);
    }
  });
  return 0;
}
