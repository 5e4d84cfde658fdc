#include "harness/machine/machine.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "harness/core/sanitizers.hpp"
#include "harness/core/team.hpp"
#include "harness/layers/matrix_unit.hpp"

namespace arena {
namespace {

constexpr Index kKibibyte = 1024;
constexpr double kBusyLoad = 0.3;             // runnable processes beside this one
constexpr Index kLowMemory = Index{1} << 30;  // bytes

/// First line of a small system file, "" when it cannot be read.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The number at the start of `text`, if there is one.
std::optional<Index> leading_number(const std::string& text) {
  Index value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc{} ? std::optional<Index>(value) : std::nullopt;
}

/// The value behind "KEY:" or "KEY<tab>:" in a file of such lines, "" when absent.
std::string field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || line.compare(0, key.size(), key) != 0) continue;
    if (line.find_last_not_of(" \t", colon - 1) + 1 != key.size()) continue;
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

Index meminfo_bytes(const std::string& key) {
  return leading_number(field("/proc/meminfo", key)).value_or(0) * kKibibyte;
}

/// Bytes of the control group's file, if it has one and it is a number ("max" is not).
std::optional<Index> cgroup_bytes(const std::string& name) {
  return leading_number(first_line("/sys/fs/cgroup/" + name));
}

std::vector<std::string> caches() {
  std::vector<std::string> result;
  for (int index = 0;; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    const std::string level = first_line(folder + "level");
    if (level.empty()) break;
    const std::string type = first_line(folder + "type");
    const std::string suffix = type == "Data" ? "d" : type == "Instruction" ? "i" : "";
    const Index kibibytes = leading_number(first_line(folder + "size")).value_or(0);
    result.push_back(fmt::format("L{}{} {} KiB", level, suffix, kibibytes));
  }
  if (!result.empty()) return result;
  const std::pair<const char*, int> names[] = {{"L1d", _SC_LEVEL1_DCACHE_SIZE},
                                               {"L2", _SC_LEVEL2_CACHE_SIZE},
                                               {"L3", _SC_LEVEL3_CACHE_SIZE}};
  for (const auto& [name, id] : names) {
    const Index bytes = sysconf(id);
    if (bytes > 0) result.push_back(fmt::format("{} {} KiB", name, bytes / kKibibyte));
  }
  return result;
}

/// Threads that share core 0 with thread 0; 1 when the system does not tell.
bool has_hardware_threads() {
  return first_line("/sys/devices/system/cpu/smt/active") == "1";
}

void add_build_spoilers(std::vector<std::string>& found) {
#ifndef __OPTIMIZE__
  found.push_back("this binary is built without optimisation: configure Release");
#endif
#ifndef NDEBUG
  found.push_back("this binary is built with assertions: kernels of Eigen check every index");
#endif
  if (std::getenv("ARENA_HIDE_AMX") != nullptr) {
    found.push_back("ARENA_HIDE_AMX is set: a matrix unit is not used");
  }
#ifdef ARENA_SANITIZED
  found.push_back("this binary is built with a sanitizer: it is several times slower");
#endif
  const MachineInfo machine = machine_info();
  const bool more = __builtin_cpu_supports("avx512vl") != 0;
  if (more && (machine.isa == "x86-64-v3" || machine.isa == "x86-64-v2")) {
    found.push_back(fmt::format(
        "this binary is built for {}, the processor also has AVX-512: build with ARENA_ISA=auto",
        machine.isa));
  }
}

void add_processor_spoilers(std::vector<std::string>& found) {
  const std::string folder = "/sys/devices/system/cpu/";
  const std::string governor = first_line(folder + "cpu0/cpufreq/scaling_governor");
  if (!governor.empty() && governor != "performance") {
    found.push_back(fmt::format(
        "the frequency governor is '{}': clocks follow the load (set it to performance)",
        governor));
  }
  const bool turbo = first_line(folder + "cpufreq/boost") == "1" ||
                     first_line(folder + "intel_pstate/no_turbo") == "0";
  if (turbo) found.push_back("turbo is on: clocks fall with temperature and with busy cores");
  if (has_hardware_threads()) {
    found.push_back("cores run two hardware threads: more threads than cores share their units");
  }
}

void add_load_spoilers(std::vector<std::string>& found) {
  double load = 0;
  if (getloadavg(&load, 1) == 1 && load > kBusyLoad) {
    found.push_back(fmt::format("load average {:.1f}: something else is running", load));
  }
  const Index free_bytes = available_memory_bytes();
  if (free_bytes > 0 && free_bytes < kLowMemory) {
    found.push_back(
        fmt::format("only {} MiB of memory are free", free_bytes / kKibibyte / kKibibyte));
  }
  if (field("/proc/cpuinfo", "flags").find(" hypervisor") != std::string::npos) {
    found.push_back(
        "a virtual machine: clocks are unknown and its cores may be time-sliced with others");
  }
  std::istringstream quota(first_line("/sys/fs/cgroup/cpu.max"));
  Index allowed = 0;
  Index period = 0;
  if (quota >> allowed >> period && period > 0) {
    found.push_back(fmt::format("a quota of {:.1f} processors: threads beyond it are time-sliced",
                                static_cast<double>(allowed) / static_cast<double>(period)));
  }
}

}  // namespace

std::string isa_level() {
  return ARENA_ISA_LEVEL;
}

MachineInfo machine_info() {
  MachineInfo info;
  info.cpu = field("/proc/cpuinfo", "model name");
  if (info.cpu.empty()) info.cpu = "unknown";
  info.cores = available_threads();
  info.caches = caches();
  info.isa = isa_level() + (matrix_unit::available() ? "+amx" : "");
  info.memory_bytes = meminfo_bytes("MemTotal");
  if (const auto limit = cgroup_bytes("memory.max")) {
    info.memory_bytes = std::min(info.memory_bytes, *limit);
  }
  return info;
}

Index available_memory_bytes() {
  Index bytes = meminfo_bytes("MemAvailable");
  if (const auto limit = cgroup_bytes("memory.max")) {
    bytes =
        std::min(bytes, std::max(Index{0}, *limit - cgroup_bytes("memory.current").value_or(0)));
  }
  return bytes;
}

std::vector<std::string> timing_spoilers() {
  std::vector<std::string> found;
  add_build_spoilers(found);
  add_processor_spoilers(found);
  add_load_spoilers(found);
  return found;
}

}  // namespace arena
