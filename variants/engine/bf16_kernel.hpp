#pragma once
// Tiles of softmax attention on bfloat16 operands (8 bits of significand) with float accumulation,
// by the AVX512_BF16 dot product of pairs. Plain pointers, no Eigen: these functions are compiled
// for instructions that the rest of the program may not use, and run only where bf16_missing() is
// empty.
//
// A Pair holds two bfloat16 numbers that are multiplied and added together, the first in the low
// half. 32 queries stand in the lanes; rows are head_dim or keys.

#include <cstddef>
#include <cstdint>
#include <string>

namespace arena::bf16 {

using Pair = std::uint32_t;
using Size = std::ptrdiff_t;

constexpr Size kLanes = 32;      // queries
constexpr Size kTileRows = 8;    // keys or columns per register tile
constexpr Size kPackWidth = 16;  // packed rows are whole vectors of 16 pairs

constexpr Size round_up(Size count, Size multiple) {
  return (count + multiple - 1) / multiple * multiple;
}
/// Pairs per packed row of `cols` numbers whose neighbours are paired.
constexpr Size pair_width(Size cols) {
  return round_up((cols + 1) / 2, kPackWidth);
}

/// Largest relative error of rounding to bfloat16: half a unit in the last of 8 bits.
constexpr double kRounding = 1.0 / 256;

/// What this machine lacks, "" where it can run these functions. The environment variable
/// ARENA_HIDE_BF16, set to anything, makes it lack them: so a refusal can be seen on any machine.
std::string missing();

/// x rounded to bfloat16 as the packing functions do: to nearest, ties to even, subnormal to zero.
float rounded(float x);

/// Rows of floats, `stride` apart.
struct FloatRows {
  const float* data;
  Size stride;
  Size rows, cols;
};

/// to[r * pair_width(cols) + t] = (from[r][2t], from[r][2t + 1]), zero beyond cols.
void pack_rows(const FloatRows& from, Pair* to);

/// to[t * kLanes + r] = (from[r][2t], from[r][2t + 1]), zero beyond rows; `space` holds kLanes
/// packed rows.
void pack_lanes(const FloatRows& from, Pair* space, Pair* to);

/// to[u * round_up(cols, kPackWidth) + c] = (from[2u][c], from[2u + 1][c]), zero beyond rows, cols.
void pack_row_pairs(const FloatRows& from, Pair* to);

/// Running softmax of kLanes queries, in units of log2.
struct Online {
  alignas(64) float maximum[kLanes];
  alignas(64) float sum[kLanes];
  alignas(64) float factor[kLanes];  // by which the last block rescales what was summed before

  void start();
};

/// scores[j * kLanes + lane] = <key_j, query>, unscaled, for keys [0, count) in pack_rows and
/// queries in pack_lanes. At least round_up(count, kTileRows) rows are written; largest[lane] is
/// the maximum over the keys.
void score(const Pair* key, Size count, const Pair* query, Size head_dim, float* scores,
           float* largest);

/// largest[lane] = maximum over `count` rows of scores.
void find_largest(const float* scores, Size count, float* largest);

/// weights[u * kLanes + lane] = (p[2u], p[2u + 1]) with p[j] = 2^(scale * scores[j] - maximum),
/// zero for j = count; scale > 0 turns scores into log2. Returns whether any maximum grew.
bool exponentiate(const float* scores, Size count, float scale, const float* largest,
                  Online& online, Pair* weights);

/// out[c * kLanes + lane] = factor * out + sum over j < count of value_j[c] p[j], for all cols of
/// `value` in pack_row_pairs, rounded up to kTileRows. factor is taken as 1 unless `grown`.
void accumulate(const Pair* value, Size cols, const Pair* weights, Size count, const Online& online,
                bool grown, float* out);

}  // namespace arena::bf16
