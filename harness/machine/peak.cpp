#include "harness/machine/peak.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "harness/machine/machine.hpp"

namespace arena {
namespace {

// The widest vector of this build. GCC's and clang's vector extension keeps this file free of
// intrinsics; a * b + c becomes one instruction where there is one.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kTileKeys = 8, kTileVectors = 2;  // of 32 registers
constexpr int kChains = 16;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
constexpr int kTileKeys = 4, kTileVectors = 3;  // of 16 registers
constexpr int kChains = 12;
#else
constexpr int kVectorBytes = 16;
constexpr int kTileKeys = 4, kTileVectors = 2;  // of 16 registers, products need one each
constexpr int kChains = 10;
#endif
using Vector = float __attribute__((vector_size(kVectorBytes)));
constexpr int kLanes = kVectorBytes / 4;

constexpr int kDepth = 64;  // head_dim
constexpr int kKeys = 32;   // keys, queries and scores of a tile pass: under 24 KiB
constexpr int kTileWidth = kTileVectors * kLanes;
constexpr int kTries = 6;
constexpr double kTrySeconds = 0.004;
constexpr int kNoiseProbes = 50;
constexpr double kNoiseSeconds = 0.002;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Keeps `value` and everything it depends on from being optimised away.
template <class T>
void keep(T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

/// kChains independent chains of `steps` multiply-adds; returns the floating-point operations.
double register_chains(Index steps) {
  std::array<Vector, kChains> chains{};
  keep(chains);  // else the chains are seen to be equal and computed once
  const Vector factor = Vector{} + 0.999F;
  const Vector term = Vector{} + 0.001F;
  for (Index i = 0; i < steps; ++i) {
#pragma GCC unroll 16
    for (Vector& chain : chains) chain = chain * factor + term;
  }
  keep(chains);
  return 2.0 * kChains * kLanes * static_cast<double>(steps);
}

/// One tile's operands and result, sized for L1.
struct TileBuffers {
  alignas(64) std::array<std::array<float, kDepth>, kKeys> key;
  alignas(64) std::array<std::array<Vector, kTileVectors>, kDepth> query;  // transposed
  alignas(64) std::array<std::array<Vector, kTileVectors>, kKeys> scores;

  TileBuffers() {
    for (auto& row : key) row.fill(0.5F);
    for (auto& row : query) row.fill(Vector{} + 0.25F);
  }
};

/// scores[j] = sum over d of key[j][d] (broadcast) * query[d] (vector), for kTileKeys keys.
void score_tile(TileBuffers& tile, int first_key) {
  std::array<std::array<Vector, kTileVectors>, kTileKeys> sums{};
#pragma GCC unroll 8
  for (std::size_t d = 0; d < kDepth; ++d) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kTileKeys; ++j) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kTileVectors; ++v) {
        sums[j][v] += tile.key[static_cast<std::size_t>(first_key) + j][d] * tile.query[d][v];
      }
    }
  }
  std::ranges::copy(sums, tile.scores.begin() + first_key);
}

double l1_tiles(TileBuffers& tile, Index passes) {
  for (Index pass = 0; pass < passes; ++pass) {
    for (int first = 0; first < kKeys; first += kTileKeys) score_tile(tile, first);
    keep(tile);
  }
  return 2.0 * kDepth * kKeys * kTileWidth * static_cast<double>(passes);
}

/// Units of work that take `seconds` when nothing interferes: the fastest of three counts, so that
/// an interruption does not pass for slow work.
template <class Work>
Index units_that_take(double seconds, Work&& work) {
  for (Index units = 256;; units *= 2) {
    double fastest = seconds;
    for (int attempt = 0; attempt < 3; ++attempt) {
      const Clock::time_point start = Clock::now();
      work(units);
      fastest = std::min(fastest, seconds_since(start));
    }
    if (fastest >= seconds) return units;
  }
}

/// Operations per second of work(units) on every thread of the team at once; work returns the
/// operations done.
template <class Work>
double rate_of(const Team& team, Index units, Work&& work) {
  std::vector<double> operations(static_cast<std::size_t>(team.size()), 0);
  const Clock::time_point start = Clock::now();
  team.for_each(team.size(), [&](Index i, const Team&) {
    operations[static_cast<std::size_t>(i)] = work(units);
  });
  const double seconds = seconds_since(start);
  double total = 0;
  for (const double count : operations) total += count;
  return total / seconds;
}

template <class Rate>
double best_of_tries(const Rate& rate) {
  double best = 0;
  for (int attempt = 0; attempt < kTries; ++attempt) best = std::max(best, rate());
  return best;
}

double l1_passes(Index passes) {
  TileBuffers tile;
  return l1_tiles(tile, passes);
}

Index involuntary_switches() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

}  // namespace

double measure_peak(const Team& team) {
  const Index steps = units_that_take(kTrySeconds, register_chains);
  return best_of_tries([&] { return rate_of(team, steps, register_chains); });
}

L1Probe::L1Probe(const Team& team)
    : team_(team), passes_(units_that_take(kTrySeconds, l1_passes)) {}

double L1Probe::rate() const {
  return rate_of(team_, passes_, l1_passes);
}

ComputeLimits measure_compute(const Team& team) {
  const L1Probe l1(team);
  return {.peak_flops_per_s = measure_peak(team),
          .l1_flops_per_s = best_of_tries([&] { return l1.rate(); })};
}

double measure_bandwidth(const Team& team) {
  constexpr Index kArrayBytes = Index{64} << 20;
  const Index bytes = std::min(kArrayBytes, std::max(available_memory_bytes() / 8, Index{1} << 20));
  const auto count = static_cast<std::size_t>(bytes / 4);
  std::vector<float> a(count, 0.0F), b(count, 1.0F), c(count, 2.0F);
  const auto parts = static_cast<std::size_t>(team.size());
  double best = 0;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const Clock::time_point start = Clock::now();
    team.for_each(team.size(), [&](Index part, const Team&) {
      const std::size_t begin = count * static_cast<std::size_t>(part) / parts;
      const std::size_t end = count * static_cast<std::size_t>(part + 1) / parts;
      for (std::size_t i = begin; i < end; ++i) a[i] = b[i] + 3.0F * c[i];
      keep(a[begin]);
    });
    best = std::max(best, 12.0 * static_cast<double>(count) / seconds_since(start));
  }
  return best;
}

Noise measure_noise() {
  const Index steps = units_that_take(kNoiseSeconds, register_chains);
  const Index switches = involuntary_switches();
  std::array<double, kNoiseProbes> times{};
  for (double& time : times) {
    const Clock::time_point start = Clock::now();
    register_chains(steps);
    time = seconds_since(start);
  }
  std::ranges::sort(times);
  return {times[kNoiseProbes * 9 / 10] / times[0] - 1, involuntary_switches() - switches};
}

double measure_scaling(Index threads) {
  Workers one(1);
  Workers all(threads);
  const double single = measure_peak(one.team());
  return measure_peak(all.team()) / (single * static_cast<double>(threads));
}

}  // namespace arena
