#pragma once
// What this machine can do right now: short probes, taken in the same run as the timings that are
// stated as shares of them. A limit is the best of several tries; L1Probe makes one, to be taken in
// turns with what is timed, since clocks change from one moment to the next.

#include "harness/core/team.hpp"

namespace arena {

/// Multiply-add rates of all threads of a team together.
struct ComputeLimits {
  double peak_flops_per_s = 0;  // vector multiply-adds on registers only; one counts two
  double l1_flops_per_s = 0;    // the tile of an attention kernel: broadcast times vector, from L1
};

/// ComputeLimits::peak_flops_per_s alone.
double measure_peak(const Team& team);

/// Measures both rates; about 0.1 s. The workspaces of the team are not touched.
ComputeLimits measure_compute(const Team& team);

/// The rate that ComputeLimits::l1_flops_per_s is the best of, one try of 4 ms at a time.
class L1Probe {
 public:
  explicit L1Probe(const Team& team);
  /// Operations per second of all threads of the team together.
  double rate() const;

 private:
  Team team_;
  Index passes_;
};

/// Bytes per second of a[i] = b[i] + s * c[i] on arrays far larger than the caches (two reads and
/// one write are counted); about 0.3 s, mostly for touching the memory first.
double measure_bandwidth(const Team& team);

struct Noise {
  double spread = 0;        // how much longer than the fastest the slowest tenth took, as a share
  Index interruptions = 0;  // times the system gave this thread's core to something else
};

/// Of 50 short equal probes on one thread; about 0.1 s. A spread of 0.01 is quiet, 0.2 is not.
Noise measure_noise();

/// Rate of `threads` threads together over `threads` times the rate of one: 1 is perfect, 0.5 with
/// two threads means that a core is missing.
double measure_scaling(Index threads);

}  // namespace arena
