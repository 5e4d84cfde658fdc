// Checks of all heads together on a team: bits, allocations, bytes, counted work.

#include <algorithm>
#include <cmath>

#include "harness/conformance/allocation_counter.hpp"
#include "harness/conformance/cases.hpp"
#include "harness/conformance/checks.hpp"
#include "harness/conformance/kernel_scope.hpp"

namespace arena {
namespace {

/// design.md section 5: measured bytes lie between the formula and this much above it.
constexpr double kBytesFactor = 1.05;
constexpr double kBytesPerWorker = 256 << 10;
/// Five lengths, primes among them.
constexpr std::array<Index, 5> kByteLengths{67, 128, 251, 500, 1009};
/// Long enough that tiles are split over a team, and no multiple of any tile.
constexpr std::array<Index, 2> kTeamLengths{100, 389};
/// Long enough that Eigen's packing buffers at head_dim 64 no longer fit on the stack (128 KiB).
constexpr Index kAllocationLength = 701;
constexpr int kAttempts = 8;
/// A formula that counts exactly may still round a tile or a share.
constexpr double kFlopsTolerance = 1e-3;

Setup heads_setup(Index num_heads, Index head_dim, Index length, bool causal) {
  return {.num_heads = num_heads,
          .head_dim = head_dim,
          .model_dim = num_heads * head_dim,
          .max_len = length,
          .causal = causal};
}

/// What make_scope measures, as the formulas get it.
Problem heads_problem(const ChosenVariant& chosen, Index length, bool causal) {
  const Extents extents{length, length};
  return {.setup = heads_setup(2, 32, length, causal),
          .options = chosen.options,
          .extents = extents,
          .edges = chosen.variant.claims.edges ? check_edges(extents).count() : 0};
}

KernelScope make_scope(const ChosenVariant& chosen, const Setup& setup) {
  return {chosen, setup, {setup.max_len, setup.max_len}, RandomKey(3).fold(Purpose::kTest)};
}

void check_same_bits(const ChosenVariant& chosen, const Setup& setup) {
  Workers one(1);
  KernelScope expected = make_scope(chosen, setup);
  expected.train(check_call(one.team()));
  for (const Index threads : {2, 3}) {
    Workers workers(threads);
    KernelScope scope = make_scope(chosen, setup);
    scope.train(check_call(workers.team()));
    const std::string differs = difference(expected, scope);
    check(differs.empty(), "{} between 1 and {} workers (length {}, {} heads{})", differs, threads,
          setup.max_len, setup.num_heads, setup.causal ? ", causal" : "");
  }
}

std::int64_t allocations_of(KernelScope& scope, const Call& call, int steps) {
  const std::int64_t before = allocation_count;
  for (int step = 0; step < steps; ++step) {
    scope.train(call);
    scope.forward(call);
  }
  return allocation_count - before;
}

/// Allocations of three steps after the first. Of several workers one may get its first head only
/// later, and its workspace then: so several get a few attempts at three quiet steps.
std::int64_t allocations_after_first(KernelScope& scope, const Call& call) {
  allocations_of(scope, call, 1);
  const int attempts = call.team.size() == 1 ? 1 : kAttempts;
  std::int64_t count = 0;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    count = allocations_of(scope, call, 3);
    if (count == 0) break;
  }
  return count;
}

double measured_bytes(const ChosenVariant& chosen, const Problem& problem, Workers& workers) {
  KernelScope scope = make_scope(chosen, problem.setup);
  const Call call = check_call(workers.team());
  workers.reset_high_water();
  if (problem.pass == Pass::kForward) {
    scope.forward(call);
  } else {
    scope.train(call);
  }
  return static_cast<double>(workers.high_water());
}

/// With one worker both bounds; with more only the upper one, because one worker may take all
/// heads. Gives the ratio of measured to promised bytes.
double check_bytes(const ChosenVariant& chosen, const Problem& problem) {
  Workers workers(problem.workers);
  const double promised = chosen.variant.analytic_bytes(problem);
  const double measured = measured_bytes(chosen, problem, workers);
  const double most =
      kBytesFactor * promised + kBytesPerWorker * static_cast<double>(problem.workers);
  const char* const pass = problem.pass == Pass::kForward ? "forward" : "train";
  check(measured <= most && (problem.workers > 1 || measured >= promised),
        "{} at length {} with {} workers takes {:.0f} bytes; analytic_bytes says {:.0f}", pass,
        problem.extents.key_len, problem.workers, measured, promised);
  return promised > 0 ? measured / promised : 1;
}

void check_forward_flops(const ChosenVariant& chosen, const Problem& problem) {
  const double flops = chosen.variant.flops(problem);
  check(std::isfinite(flops) && flops > 0, "flops are {}", flops);
  if (!has_softmax_oracle(chosen.variant)) return;
  Workers workers(1);
  const Call call = check_call(workers.team());
  KernelScope scope = make_scope(chosen, problem.setup);
  const Plan plan = scope.plan(call, 0);
  Edges edges;
  const Visibility seen =
      softmax_visibility(chosen.variant, problem, frozen(scope.with_edges(call), plan), edges);
  // Each pair costs a dot product and a scaled addition of head_dim multiply-adds.
  const double per_pair =
      4.0 * static_cast<double>(problem.setup.head_dim * problem.setup.num_heads);
  const double least = per_pair * static_cast<double>(count_pairs(seen, problem.extents));
  const double all =
      per_pair * static_cast<double>(problem.extents.query_len * problem.extents.key_len);
  // A pattern's flops are its pairs; exact attention may also compute what causality hides.
  const double most = chosen.variant.claims.pattern ? least : all;
  check(flops >= least * (1 - kFlopsTolerance) && flops <= most * (1 + kFlopsTolerance),
        "forward flops are {:.6g}; the pairs that see each other make {:.6g}, all pairs {:.6g} "
        "(length {}{})",
        flops, least, all, problem.extents.key_len, problem.setup.causal ? ", causal" : "");
}

}  // namespace

Verdict check_threads(const ChosenVariant& chosen) {
  for (const bool causal : causal_modes(chosen.variant)) {
    for (const Index length : kTeamLengths) {
      // One head: the whole team inside the kernel. Four: heads in parallel.
      for (const Index heads : {1, 4}) {
        check_same_bits(chosen, heads_setup(heads, 20, length, causal));
      }
    }
  }
  return {};
}

Verdict check_allocations(const ChosenVariant& chosen) {
  if (!allocations_are_counted) return {true, "this program does not count allocations"};
  std::int64_t total = 0;
  for (const bool causal : causal_modes(chosen.variant)) {
    for (const Index threads : {1, 2}) {
      Workers workers(threads);
      KernelScope scope = make_scope(chosen, heads_setup(2, 64, kAllocationLength, causal));
      total += allocations_after_first(scope, check_call(workers.team()));
    }
  }
  if (chosen.variant.claims.allocates) {
    return {true, fmt::format("exempt: claims that it allocates ({} times here)", total)};
  }
  check(total == 0, "asks the system for memory {} times after the first step", total);
  return {};
}

Verdict check_analytic_bytes(const ChosenVariant& chosen) {
  double worst = 1;
  for (const Index length : kByteLengths) {
    Problem problem = heads_problem(chosen, length, false);
    for (const Pass pass : {Pass::kForward, Pass::kTrain}) {
      for (const Index workers : {1, 2}) {
        problem.pass = pass;
        problem.workers = workers;
        const double ratio = check_bytes(chosen, problem);
        if (workers == 1) worst = std::max(worst, ratio);
      }
    }
  }
  return {.detail = fmt::format("measured up to {:.2f} of the formula", worst)};
}

Verdict check_flops(const ChosenVariant& chosen) {
  for (const bool causal : causal_modes(chosen.variant)) {
    for (const Index length : kByteLengths) {
      Problem problem = heads_problem(chosen, length, causal);
      check_forward_flops(chosen, problem);
      const double forward = chosen.variant.flops(problem);
      problem.pass = Pass::kBackward;
      const double backward = chosen.variant.flops(problem);
      problem.pass = Pass::kTrain;
      const double train = chosen.variant.flops(problem);
      check(backward > 0 && std::abs(train - forward - backward) <= kFlopsTolerance * train,
            "flops of train ({:.6g}) are not those of forward ({:.6g}) and backward ({:.6g})",
            train, forward, backward);
    }
  }
  return {};
}

}  // namespace arena
