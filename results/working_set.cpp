#include "results/working_set.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>
#include <vector>

#include "results/units.hpp"

namespace arena {
namespace {

constexpr double kKibibyte = 1024;

struct Cache {
  std::string name;
  double bytes = 0;
};

/// Of texts like "L2 2048 KiB", without caches of instructions.
std::vector<Cache> caches_of(const MachineInfo& machine) {
  std::vector<Cache> caches;
  for (const std::string& text : machine.caches) {
    std::istringstream words(text);
    Cache cache;
    std::string unit;
    if (!(words >> cache.name >> cache.bytes >> unit) || cache.name.ends_with('i')) continue;
    cache.bytes *= unit == "MiB" ? kMebibyte : kKibibyte;
    caches.push_back(cache);
  }
  return caches;
}

}  // namespace

std::optional<double> working_set_bytes(const Record& record) {
  if (!record.workspace_bytes) return std::nullopt;
  const double matrices = record.scope == "kernel" ? 4 : record.scope == "layer" ? 2 : 0;
  const double floats = matrices * static_cast<double>(record.batch * record.length) *
                            static_cast<double>(record.heads * record.head_dim) +
                        record.parameters.value_or(0);
  const double with_gradients = record.pass == "forward" ? 1 : 2;
  return with_gradients * floats * sizeof(float) + *record.workspace_bytes;
}

std::string smallest_cache(const MachineInfo& machine, double bytes) {
  const std::vector<Cache> caches = caches_of(machine);
  for (const Cache& cache : caches) {
    if (bytes <= cache.bytes) return cache.name;
  }
  return caches.empty() ? "" : "no cache";
}

std::string data_caches(const MachineInfo& machine) {
  std::vector<std::string> texts;
  for (const Cache& cache : caches_of(machine)) {
    const bool large = cache.bytes >= kMebibyte;
    texts.push_back(fmt::format("{} {:g} {}", cache.name,
                                cache.bytes / (large ? kMebibyte : kKibibyte),
                                large ? "MiB" : "KiB"));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace arena
