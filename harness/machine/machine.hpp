#pragma once
// What this machine is: read from the system, never measured (measured limits: peak.hpp).

#include <string>
#include <vector>

#include "results/record.hpp"

namespace arena {

/// Processor, threads this process may use, caches, the instruction set this binary was built for
/// ("+amx" where it uses the matrix unit), memory in bytes (a control group's limit counts). What
/// the system does not tell is "unknown", 0 or empty.
MachineInfo machine_info();

/// The instruction set this binary was built for: "x86-64-v2", "x86-64-v3", "x86-64-v4", "native".
std::string isa_level();

/// Bytes that could still be taken without swapping (a control group's limit counts).
Index available_memory_bytes();

/// One sentence per thing about the machine or this build that would spoil timings; empty: nothing.
std::vector<std::string> timing_spoilers();

}  // namespace arena
