#pragma once
// What a timing calls again and again.

#include <cstdint>

#include "harness/core/team.hpp"

namespace arena {

class Timed {
 public:
  virtual ~Timed() = default;

  /// What must stand before run(), not timed.
  virtual void prepare(const Team& team) = 0;
  virtual void run(const Team& team) = 0;
  /// Hash of the bytes that run() overwrites, the same after every run; a constant where each run
  /// goes on from the one before.
  virtual std::uint64_t output_hash() const = 0;
};

}  // namespace arena
