#pragma once
// Resident memory of this process, and of a short process of its own.

#include <span>
#include <string>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

/// Starts the peak anew at what is resident now. Where the kernel refuses, the peak since the start
/// of the process stands.
void reset_resident_peak();

/// Largest resident memory since the last reset, in bytes (VmHWM). Throws Error where the system
/// does not tell.
Index resident_peak_bytes();

struct ProgramResult {
  int exit_code = 0;   // 0 to 255, or -N where signal N ended it
  std::string output;  // what it wrote to stdout and stderr
};

/// Runs `program` with `arguments` until it ends. Throws Error when it cannot be started.
ProgramResult run_program(const std::string& program, std::span<const std::string> arguments);

/// The program that answers `bench --memory-of`: this one, once it said so. "" until then: a
/// program without that sub-command (a test) measures no resident memory.
const std::string& memory_program();
void set_memory_program(const std::string& program);

}  // namespace arena
