#include "variants/engine/bf16_kernel.hpp"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>

#define ARENA_BF16 [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]]
#define ARENA_BF16_INLINE ARENA_BF16 [[gnu::always_inline]] inline

namespace arena::bf16 {
namespace {

constexpr Size kWidth = 16;  // floats or pairs per vector
constexpr Size kVectors = kLanes / kWidth;

/// The first min(max(count, 0), kWidth) lanes.
constexpr __mmask16 first_lanes(Size count) {
  return static_cast<__mmask16>((1U << std::clamp(count, Size{0}, kWidth)) - 1);
}

/// (low, high) rounded, lane by lane.
ARENA_BF16_INLINE __m512i pair_lanes(__m512 low, __m512 high) {
  const __m512i both = __builtin_bit_cast(__m512i, _mm512_cvtne2ps_pbh(high, low));
  alignas(64) static constexpr std::uint16_t kInterleave[32] = {
      0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kInterleave), both);
}

/// 2^x for x <= 127, relative error below 2e-7; 0 for minus infinity, NaN for NaN (the second
/// operand of a maximum). x = n + f, |f| <= 1/2, with the polynomial that simd::exp2 takes where it
/// has no permutations (that header belongs to the build's instruction set, this file has its own).
ARENA_BF16_INLINE __m512 exp2(__m512 x) {
  const __m512 bounded = _mm512_max_ps(_mm512_set1_ps(-200.0F), x);
  const __m512 n = _mm512_roundscale_ps(bounded, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(bounded, n);
  __m512 p = _mm512_set1_ps(0.001326472731307149F);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.009671512991189957F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.05550733581185341F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.24022242426872253F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.6931470036506653F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0F));
  return _mm512_scalef_ps(p, n);
}

/// kTileRows x kLanes sums in registers.
struct Tile {
  __m512 at[kTileRows][kVectors];

  /// at[r][:] += <a_r, b[:]> for one pair of each; a_r is broadcast, b read as vectors.
  ARENA_BF16_INLINE void step(const Pair* const (&a)[kTileRows], Size t, const Pair* b) {
    __m512bh lanes[kVectors];
    for (Size c = 0; c < kVectors; ++c) {
      lanes[c] = __builtin_bit_cast(__m512bh, _mm512_loadu_si512(b + c * kWidth));
    }
    for (Size r = 0; r < kTileRows; ++r) {
      const __m512bh pair =
          __builtin_bit_cast(__m512bh, _mm512_set1_epi32(static_cast<int>(a[r][t])));
      for (Size c = 0; c < kVectors; ++c) at[r][c] = _mm512_dpbf16_ps(at[r][c], pair, lanes[c]);
    }
  }

  ARENA_BF16_INLINE void store(float* to) const {
    for (Size r = 0; r < kTileRows; ++r) {
      for (Size c = 0; c < kVectors; ++c) _mm512_storeu_ps(to + r * kLanes + c * kWidth, at[r][c]);
    }
  }
};

}  // namespace

std::string missing() {
  if (std::getenv("ARENA_HIDE_BF16") != nullptr) return "AVX512_BF16 (hidden by ARENA_HIDE_BF16)";
  const bool present = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512bf16");
  return present ? "" : "AVX512_BF16";
}

float rounded(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = bits & 0x80000000U, size = bits & 0x7FFFFFFFU;
  if (size < 0x00800000U) return std::bit_cast<float>(sign);
  if (size > 0x7F800000U) return x;
  return std::bit_cast<float>((bits + 0x7FFFU + ((bits >> 16) & 1U)) & 0xFFFF0000U);
}

void Online::start() {
  // finite, also in log2: minus infinity minus it is minus infinity
  std::fill_n(maximum, kLanes, std::numeric_limits<float>::lowest() / 4);
  std::fill_n(sum, kLanes, 0.0F);
}

ARENA_BF16 void pack_rows(const FloatRows& from, Pair* to) {
  const Size width = pair_width(from.cols);
  for (Size r = 0; r < from.rows; ++r) {
    const float* const row = from.data + r * from.stride;
    for (Size t = 0; t < width; t += kWidth) {
      const Size c = 2 * t;
      const __m512 low = _mm512_maskz_loadu_ps(first_lanes(from.cols - c), row + c);
      const __m512 high =
          _mm512_maskz_loadu_ps(first_lanes(from.cols - c - kWidth), row + c + kWidth);
      _mm512_storeu_si512(to + r * width + t,
                          __builtin_bit_cast(__m512i, _mm512_cvtne2ps_pbh(high, low)));
    }
  }
}

ARENA_BF16 void pack_lanes(const FloatRows& from, Pair* space, Pair* to) {
  const Size width = pair_width(from.cols);
  pack_rows(from, space);
  std::fill_n(space + from.rows * width, (kLanes - from.rows) * width, Pair{0});
  const __m512i rows =
      _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                         _mm512_set1_epi32(static_cast<int>(width)));
  for (Size t = 0; t < (from.cols + 1) / 2; ++t) {
    for (Size first = 0; first < kLanes; first += kWidth) {
      _mm512_storeu_si512(to + t * kLanes + first,
                          _mm512_i32gather_epi32(rows, space + first * width + t, sizeof(Pair)));
    }
  }
}

ARENA_BF16 void pack_row_pairs(const FloatRows& from, Pair* to) {
  const Size width = round_up(from.cols, kPackWidth);
  for (Size r = 0; r < from.rows; r += 2) {
    const float* const row = from.data + r * from.stride;
    const bool pair = r + 1 < from.rows;
    const float* const next = pair ? row + from.stride : row;
    for (Size c = 0; c < width; c += kWidth) {
      const __mmask16 lanes = first_lanes(from.cols - c);
      const __mmask16 next_lanes = pair ? lanes : __mmask16{0};
      _mm512_storeu_si512(to + r / 2 * width + c,
                          pair_lanes(_mm512_maskz_loadu_ps(lanes, row + c),
                                     _mm512_maskz_loadu_ps(next_lanes, next + c)));
    }
  }
}

ARENA_BF16 void score(const Pair* key, Size count, const Pair* query, Size head_dim, float* scores,
                      float* largest) {
  const Size width = pair_width(head_dim), depth = (head_dim + 1) / 2;
  __m512 maxima[kVectors];
  for (__m512& x : maxima) x = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  for (Size j = 0; j < count; j += kTileRows) {
    const Pair* rows[kTileRows];  // beyond the last they repeat it
    for (Size r = 0; r < kTileRows; ++r) rows[r] = key + std::min(j + r, count - 1) * width;
    Tile tile{};
#pragma GCC unroll 4
    for (Size t = 0; t < depth; ++t) tile.step(rows, t, query + t * kLanes);
    for (Size r = 0; r < kTileRows; ++r) {
      for (Size c = 0; c < kVectors; ++c) maxima[c] = _mm512_max_ps(maxima[c], tile.at[r][c]);
    }
    tile.store(scores + j * kLanes);
  }
  for (Size c = 0; c < kVectors; ++c) _mm512_storeu_ps(largest + c * kWidth, maxima[c]);
}

ARENA_BF16 void find_largest(const float* scores, Size count, float* largest) {
  for (Size c = 0; c < kVectors; ++c) {
    __m512 maximum = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    for (Size j = 0; j < count; ++j) {
      maximum = _mm512_max_ps(maximum, _mm512_loadu_ps(scores + j * kLanes + c * kWidth));
    }
    _mm512_storeu_ps(largest + c * kWidth, maximum);
  }
}

ARENA_BF16 bool exponentiate(const float* scores, Size count, float scale, const float* largest,
                             Online& online, Pair* weights) {
  const __m512 factor = _mm512_set1_ps(scale);
  unsigned grown = 0;
  for (Size c = 0; c < kVectors; ++c) {
    const Size lane = c * kWidth;
    const __m512 old = _mm512_load_ps(online.maximum + lane);
    const __m512 maximum =
        _mm512_max_ps(old, _mm512_mul_ps(_mm512_loadu_ps(largest + lane), factor));
    const __m512 rescale = exp2(_mm512_sub_ps(old, maximum));
    grown |= _mm512_cmp_ps_mask(old, maximum, _CMP_LT_OQ);
    __m512 sum = _mm512_mul_ps(_mm512_load_ps(online.sum + lane), rescale);
    __m512 next_sum = _mm512_setzero_ps();
    for (Size j = 0; j < count; j += 2) {
      const float* const place = scores + j * kLanes + lane;
      const __m512 p = exp2(_mm512_fmsub_ps(_mm512_loadu_ps(place), factor, maximum));
      const __m512 next =
          j + 1 < count ? exp2(_mm512_fmsub_ps(_mm512_loadu_ps(place + kLanes), factor, maximum))
                        : _mm512_setzero_ps();
      _mm512_storeu_si512(weights + j / 2 * kLanes + lane, pair_lanes(p, next));
      sum = _mm512_add_ps(sum, p);
      next_sum = _mm512_add_ps(next_sum, next);
    }
    _mm512_store_ps(online.maximum + lane, maximum);
    _mm512_store_ps(online.sum + lane, _mm512_add_ps(sum, next_sum));
    _mm512_store_ps(online.factor + lane, rescale);
  }
  return grown != 0;
}

ARENA_BF16 void accumulate(const Pair* value, Size cols, const Pair* weights, Size count,
                           const Online& online, bool grown, float* out) {
  const Size width = round_up(cols, kPackWidth), depth = (count + 1) / 2;
  for (Size first = 0; first < cols; first += kTileRows) {
    float* const place = out + first * kLanes;
    Tile tile;
    for (Size r = 0; r < kTileRows; ++r) {
      for (Size c = 0; c < kVectors; ++c) {
        const __m512 sum = _mm512_loadu_ps(place + r * kLanes + c * kWidth);
        tile.at[r][c] =
            grown ? _mm512_mul_ps(sum, _mm512_load_ps(online.factor + c * kWidth)) : sum;
      }
    }
    const Pair* columns[kTileRows];
    for (Size r = 0; r < kTileRows; ++r) columns[r] = value + first + r;
#pragma GCC unroll 4
    for (Size u = 0; u < depth; ++u) tile.step(columns, u * width, weights + u * kLanes);
    tile.store(place);
  }
}

}  // namespace arena::bf16
