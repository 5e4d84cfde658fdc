#include "variants/engine/lsh.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "harness/core/check.hpp"
#include "harness/layers/product.hpp"
#include "harness/layers/row_blocks.hpp"
#include "harness/layers/simd.hpp"

namespace arena {
namespace {

using simd::Vec;

constexpr Index kOneFactor = 128;  // buckets up to which one rotation is used
static_assert(kRowBlock % simd::kWidth == 0);

/// Writes the bucket of each lane: where the largest of the `half` rows of projections (kRowBlock
/// apart) and their negatives stands, ties to the lower.
void bucket_lanes(const float* projections, Index half, float* buckets) {
  Vec greatest = simd::load(projections), least = greatest;
  Vec greatest_at(0.0F), least_at(0.0F);
  for (Index j = 1; j < half; ++j) {
    const Vec x = simd::load(projections + j * kRowBlock), at(static_cast<float>(j));
    greatest_at = simd::select(x > greatest, at, greatest_at);
    least_at = simd::select(x < least, at, least_at);
    greatest = simd::select(x > greatest, x, greatest);
    least = simd::select(x < least, x, least);
  }
  const auto negative = Vec(0.0F) - least > greatest;
  simd::store(buckets,
              simd::select(negative, least_at + Vec(static_cast<float>(half)), greatest_at));
}

/// Adds stride times the bucket of `rows` rows in one factor.
void add_buckets(const float* projections, Index factor, Index stride, Index rows,
                 std::int32_t* buckets) {
  alignas(kAlignment) float lanes[kRowBlock];
  for (Index i = 0; i < rows; i += simd::kWidth) {
    bucket_lanes(projections + i, factor / 2, lanes + i);
  }
  for (Index i = 0; i < rows; ++i) {
    buckets[i] += static_cast<std::int32_t>(stride) * static_cast<std::int32_t>(lanes[i]);
  }
}

/// Of a block of rows, or of one round's counting sort.
Index worker_scratch(const Hashing& hashing) {
  return std::max(stored_bytes<float>(hashing.columns() * kRowBlock),
                  stored_bytes<std::int32_t>(hashing.factors.buckets() + 1));
}

}  // namespace

BucketFactors bucket_factors(Index buckets) {
  if (buckets <= kOneFactor) return {buckets, 1};
  const auto root = static_cast<Index>(std::sqrt(static_cast<double>(buckets))) / 2 * 2;
  for (Index first = root; 2 * first > root; first -= 2) {
    if (buckets % (2 * first) == 0) return {first, buckets / first};
  }
  return {root, (buckets + 2 * root - 1) / (2 * root) * 2};
}

void lsh_buckets(const Team& team, const Hashing& hashing, const ConstView& x,
                 const ConstView& rotations, std::span<std::int32_t> buckets) {
  const Index len = x.rows();
  const BucketFactors factors = hashing.factors;
  std::ranges::fill(buckets, 0);
  for_row_blocks(team, len, [&](Index first, Index rows, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    View block = worker.workspace().matrix(hashing.columns(), kRowBlock);
    block.rightCols(kRowBlock - rows).setZero();
    multiply(rotations, transpose(x.row_slice(first, rows)), block.column_slice(0, rows),
             Output::kOverwrite);
    for (Index r = 0; r < hashing.rounds; ++r) {
      std::int32_t* const to = buckets.data() + r * len + first;
      const float* const from = block.data() + r * factors.columns() * kRowBlock;
      add_buckets(from, factors.first, 1, rows, to);
      if (factors.second == 1) continue;
      add_buckets(from + factors.first / 2 * kRowBlock, factors.second, factors.first, rows, to);
    }
  });
}

void lsh_order(const Team& team, const Hashing& hashing, std::span<const std::int32_t> buckets,
               std::span<std::int32_t> order) {
  const Index len = static_cast<Index>(order.size()) / hashing.rounds;
  team.for_each(hashing.rounds, [&](Index r, const Team& worker) {
    const WorkspaceScope scope(worker.workspace());
    const Index count = hashing.factors.buckets() + 1;
    std::int32_t* const begins = worker.workspace().take<std::int32_t>(count).data();
    std::fill_n(begins, count, 0);
    const std::int32_t* const bucket = buckets.data() + r * len;
    for (Index i = 0; i < len; ++i) ++begins[bucket[i] + 1];
    for (Index b = 1; b < count; ++b) begins[b] += begins[b - 1];
    for (Index i = 0; i < len; ++i) {
      const std::int32_t place = begins[bucket[i]]++;
      order[static_cast<std::size_t>(r * len + place)] = static_cast<std::int32_t>(i);
    }
  });
}

void draw_lsh_order(const Team& team, const Hashing& hashing, const ConstView& x, RandomKey key,
                    std::span<std::int32_t> order) {
  Workspace& workspace = team.workspace();
  const WorkspaceScope scope(workspace);
  const View rotations = workspace.matrix(hashing.columns(), x.cols());
  fill_normal(key, 1, rotations);
  const auto buckets = workspace.take<std::int32_t>(hashing.rounds * x.rows());
  lsh_buckets(team, hashing, x, rotations, buckets);
  lsh_order(team, hashing, buckets, order);
}

void read_order(std::span<const std::int64_t> positions, Index rounds,
                std::span<std::int32_t> order) {
  check(positions.size() == order.size(), "order has {} positions, not {}", positions.size(),
        order.size());
  const std::size_t len = order.size() / static_cast<std::size_t>(rounds);
  std::vector<bool> seen;
  for (std::size_t place = 0; place < order.size(); ++place) {
    if (place % len == 0) seen.assign(len, false);
    const std::int64_t position = positions[place];
    check(position >= 0 && position < static_cast<std::int64_t>(len),
          "order has position {} in a sequence of {}", position, len);
    const auto at = static_cast<std::size_t>(position);
    check(!seen[at], "order has position {} twice in round {}", position, place / len);
    seen[at] = true;
    order[place] = static_cast<std::int32_t>(position);
  }
}

LshScratch lsh_scratch(const Hashing& hashing, Index len, Index head_dim, Index workers) {
  const Index each = worker_scratch(hashing);
  const Index caller = stored_bytes<float>(hashing.columns() * head_dim) +
                       stored_bytes<std::int32_t>(hashing.rounds * len) + each;
  const bool shared = row_blocks(len) >= workers || hashing.rounds >= workers;
  return {caller, caller + (shared ? (workers - 1) * each : 0)};
}

}  // namespace arena
