#pragma once
// Vectors of floats as wide as the build's instruction set: the only file that includes xsimd.
//
// Multiply-adds are written x * y + z, because xsimd 8.1 has no fused one for AVX-512; the compiler
// contracts them. Not used, because wrong or missing there: reduce_max, `!=` with NaN, xor of
// masks.

#include <bit>
#include <cstdint>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "harness/core/matrix.hpp"

#define ARENA_INLINE [[gnu::always_inline]] inline
#define ARENA_INLINE_LAMBDA __attribute__((always_inline))

namespace arena {

/// body(0), body(1), ... body(kCount - 1) with constants, written out: the compiler then keeps an
/// array that is indexed by them in registers, which it does not always do for loops.
template <int kCount, class Body>
ARENA_INLINE void unrolled(Body&& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) ARENA_INLINE_LAMBDA {
    (body(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, kCount>{});
}

}  // namespace arena

namespace arena::simd {

using Vec = xsimd::batch<float>;
using DoubleVec = xsimd::batch<double>;
using IntVec = xsimd::batch<std::int32_t>;
using Mask = xsimd::batch_bool<float>;

constexpr Index kWidth = static_cast<Index>(Vec::size);
constexpr bool kManyRegisters = kWidth == 16;  // AVX-512 has 32 vector registers, others 16

inline Vec load(const float* from) {
  return Vec::load_unaligned(from);
}
inline void store(float* to, Vec x) {
  x.store_unaligned(to);
}
inline Vec maximum(Vec x, Vec y) {
  return xsimd::max(x, y);
}
inline Vec select(Mask mask, Vec yes, Vec no) {
  return xsimd::select(mask, yes, no);
}
inline Vec log2(Vec x) {
  return xsimd::log2(x);
}
inline bool any(Mask mask) {
  return xsimd::any(mask);
}

/// Loads once into a register. Without it gcc folds the load into each multiply-add that uses x.
ARENA_INLINE Vec load_once(const float* from) {
  Vec x = load(from);
  asm("" : "+v"(x.data));
  return x;
}

/// sum += x * y in sum's own register. Left to itself gcc 12 moves accumulators between registers,
/// and spills some where other work stands between the multiply-adds.
ARENA_INLINE void add_product(Vec& sum, Vec x, Vec y) {
#ifdef __FMA__
  asm("vfmadd231ps %2, %1, %0" : "+v"(sum.data) : "v"(x.data), "v"(y.data));
#else
  sum = x * y + sum;
#endif
}
ARENA_INLINE void add_product(DoubleVec& sum, DoubleVec x, DoubleVec y) {
#ifdef __FMA__
  asm("vfmadd231pd %2, %1, %0" : "+v"(sum.data) : "v"(x.data), "v"(y.data));
#else
  sum = x * y + sum;
#endif
}

/// load_part: the first `count` <= kWidth floats at `from`, zero in the other lanes, nothing else
/// read. store_part: writes them only. A count known to be kWidth costs nothing.
#if defined(__AVX512F__)
inline Vec load_part(const float* from, Index count) {
  if (__builtin_constant_p(count) && count == kWidth) return load(from);
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1), from);
}
inline void store_part(float* to, Vec x, Index count) {
  if (__builtin_constant_p(count) && count == kWidth) return store(to, x);
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1U << count) - 1), x);
}
#elif defined(__AVX__)
inline __m256i first_lanes(Index count) {
  alignas(32) static constexpr std::int32_t kMasks[2 * kWidth] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMasks + kWidth - count));
}
inline Vec load_part(const float* from, Index count) {
  if (__builtin_constant_p(count) && count == kWidth) return load(from);
  return _mm256_maskload_ps(from, first_lanes(count));
}
inline void store_part(float* to, Vec x, Index count) {
  if (__builtin_constant_p(count) && count == kWidth) return store(to, x);
  _mm256_maskstore_ps(to, first_lanes(count), x);
}
#else
inline Vec load_part(const float* from, Index count) {
  if (__builtin_constant_p(count) && count == kWidth) return load(from);
  alignas(64) float lanes[kWidth] = {};
  for (Index i = 0; i < count; ++i) lanes[i] = from[i];
  return load(lanes);
}
inline void store_part(float* to, Vec x, Index count) {
  if (__builtin_constant_p(count) && count == kWidth) return store(to, x);
  alignas(64) float lanes[kWidth];
  store(lanes, x);
  for (Index i = 0; i < count; ++i) to[i] = lanes[i];
}
#endif
/// Calls body(first, lanes) for each vector of `count` floats; the last may have fewer lanes.
template <class Body>
ARENA_INLINE void for_vectors(Index count, const Body& body) {
  Index i = 0;
  for (; i + kWidth <= count; i += kWidth) body(i, kWidth);
  if (i < count) body(i, count - i);
}
/// Sum of all lanes; xsimd renamed its function, which argument-dependent lookup finds.
template <class V>
inline float sum(V x) {
  if constexpr (requires { reduce_add(x); }) {
    return reduce_add(x);
  } else {
    return hadd(x);
  }
}
inline Vec absolute(Vec x) {
  return xsimd::abs(x);
}

/// 0, 1, 2, ... in the lanes.
inline Vec iota() {
  alignas(64) static constexpr float kCounts[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                    8, 9, 10, 11, 12, 13, 14, 15};
  return load(kCounts);
}

/// 2^x for x <= 127, relative error below 2.5e-7, exp2(0) = 1; 0 for x < -120 (minus infinity too),
/// NaN for NaN. x = n + f with n whole, found by adding 1.5 * 2^23, whose low bits are then n; n
/// goes into the exponent by integer addition.
///
/// With permutations n counts 2^-kBits, and 2^(n mod 1) comes from a table in registers, less
/// k << (23 - kBits) so that adding n << (23 - kBits) leaves the whole part only. 2^f is then a
/// polynomial of low degree, minimax, in g = f + a, where the term below the highest vanishes; its
/// leading coefficient c stands in the table. That leaves few operations for the multiply-add
/// units, which products need.
template <std::uint32_t kBits>
struct Exp2Table {
  alignas(64) std::uint32_t at[1U << kBits] = {};

  explicit constexpr Exp2Table(double c) {
    // 2^(1/32), 2^(2/32), 2^(4/32), ... multiplied in double
    constexpr double kRoots[5] = {1.0218971486541166, 1.0442737824274138, 1.0905077326652577,
                                  1.1892071150027210, 1.4142135623730951};
    for (std::uint32_t k = 0; k < 1U << kBits; ++k) {
      double power = c;
      for (std::uint32_t bit = 0; bit < kBits; ++bit) {
        power *= (k >> bit & 1U) != 0 ? kRoots[bit + 5 - kBits] : 1.0;
      }
      at[k] = std::bit_cast<std::uint32_t>(static_cast<float>(power)) - (k << (23 - kBits));
    }
  }
};

/// Of a build: its table, of how many bits; the powers at n, less what adding n takes away again;
/// and 2^f / c.
#if defined(__AVX512F__)
/// |f| <= 1/64: g^2 + b; with the power two operations for the multiply-add units.
inline constexpr std::uint32_t kExp2Bits = 5;
inline constexpr Exp2Table<kExp2Bits> kExp2Table(0.240225077);
inline IntVec exp2_power(IntVec n) {
  return _mm512_permutex2var_epi32(_mm512_load_si512(kExp2Table.at), n,
                                   _mm512_load_si512(kExp2Table.at + 16));
}
inline Vec exp2_polynomial(Vec f) {
  const Vec g = f + Vec(1.44272506F);
  return g * g + Vec(2.08130717F);
}
#elif defined(__AVX2__)
/// |f| <= 1/16: g^3 + p g + q; three.
inline constexpr std::uint32_t kExp2Bits = 3;
inline constexpr Exp2Table<kExp2Bits> kExp2Table(0.0554989278);
inline IntVec exp2_power(IntVec n) {
  return _mm256_permutevar8x32_epi32(
      _mm256_load_si256(reinterpret_cast<const __m256i*>(kExp2Table.at)), n);
}
inline Vec exp2_polynomial(Vec f) {
  const Vec g = f + Vec(1.44305503F);
  return (g * g + Vec(6.24215508F)) * g + Vec(6.00556374F);
}
#else
/// |f| <= 1/2 and no permutation: degree 5, minimax with constant term 1.
inline constexpr std::uint32_t kExp2Bits = 0;
inline IntVec exp2_power(IntVec) {
  return std::bit_cast<IntVec>(Vec(1.0F));
}
inline Vec exp2_polynomial(Vec f) {
  Vec p = Vec(0.001326472731307149F) * f + Vec(0.009671512991189957F);
  p = p * f + Vec(0.05550733581185341F);
  p = p * f + Vec(0.24022242426872253F);
  p = p * f + Vec(0.6931470036506653F);
  return p * f + Vec(1.0F);
}
#endif

inline Vec exp2(Vec x) {
  const Vec magic(1.5F * static_cast<float>(1U << (23 - kExp2Bits)));
  const Vec shifted = x + magic;
  const auto n = std::bit_cast<IntVec>(shifted);
  const auto scale = std::bit_cast<Vec>(exp2_power(n) + (n << (23 - kExp2Bits)));
  const Vec p = exp2_polynomial(x - (shifted - magic));
  return select(x < Vec(-120.0F), Vec(0.0F), p * scale);
}

namespace detail {

using Raw = float __attribute__((vector_size(kWidth * sizeof(float))));
constexpr int kLanes = static_cast<int>(kWidth), kFours = kLanes / 4;
struct Pair {
  Raw first, second;
};

template <class From, int... kLane>
ARENA_INLINE Raw pick(Raw a, Raw b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b, From::lane(kLane)...);
}
template <template <int> class From>
ARENA_INLINE Pair pick_both(Raw a, Raw b) {
  constexpr auto kAll = std::make_integer_sequence<int, kLanes>{};
  return {pick<From<0>>(a, b, kAll), pick<From<1>>(a, b, kAll)};
}

/// Of each four lanes of a and b: a0 b0 a1 b1, and a2 b2 a3 b3. Lanes from kLanes on are b's.
template <int kSecond>
struct Ones {
  static constexpr int lane(int to) {
    return to / 4 * 4 + 2 * kSecond + to % 4 / 2 + (to % 2 == 0 ? 0 : kLanes);
  }
};
/// a0 a1 b0 b1, and a2 a3 b2 b3.
template <int kSecond>
struct Twos {
  static constexpr int lane(int to) {
    return to / 4 * 4 + 2 * kSecond + to % 2 + (to % 4 < 2 ? 0 : kLanes);
  }
};
/// Every second four lanes of a and then b, and the others.
template <int kSecond>
struct Fours {
  static constexpr int lane(int to) { return (2 * (to / 4) + kSecond) * 4 + to % 4; }
};

/// The lanes kFirst .. kFirst + kCount of a, then b's.
template <int kFirst, int kCount>
struct Run {
  static constexpr int lane(int to) { return to < kCount ? kFirst + to : kLanes + to; }
};

/// Lane 4 k + i is the sum of the lanes 4 k .. 4 k + 3 of row(first + i).
template <class Row>
ARENA_INLINE Raw sums_of_fours(const Row& row, Index first) {
  const auto at = [&](Index i) { return std::bit_cast<Raw>(row(first + i)); };
  const Pair a = pick_both<Ones>(at(0), at(1)), b = pick_both<Ones>(at(2), at(3));
  const Pair both = pick_both<Twos>(a.first + a.second, b.first + b.second);
  return both.first + both.second;
}

}  // namespace detail

/// The lanes kFirst .. kFirst + kCount of x, then zeros.
template <int kFirst, int kCount>
ARENA_INLINE Vec lanes_of(Vec x) {
  constexpr auto kAll = std::make_integer_sequence<int, detail::kLanes>{};
  return std::bit_cast<Vec>(detail::pick<detail::Run<kFirst, kCount>>(std::bit_cast<detail::Raw>(x),
                                                                      detail::Raw{}, kAll));
}

/// Lane i is the sum of all lanes of row(i), for i below kWidth.
template <class Row>
ARENA_INLINE Vec row_sums(const Row& row) {
  detail::Raw sums[detail::kFours];
  unrolled<detail::kFours>(
      [&](auto g) ARENA_INLINE_LAMBDA { sums[g] = detail::sums_of_fours(row, 4 * g); });
  for (int count = detail::kFours / 2; count > 0; count /= 2) {
    for (int i = 0; i < count; ++i) {
      const detail::Pair both = detail::pick_both<detail::Fours>(sums[2 * i], sums[2 * i + 1]);
      sums[i] = both.first + both.second;
    }
  }
  return std::bit_cast<Vec>(sums[0]);
}

/// write(j, lane j of all rows row(i)) for i and j below kWidth. By shuffles within four lanes
/// first: half the time of those across all, and four rows are done before the next are loaded.
template <class Row, class Write>
ARENA_INLINE void transpose(const Row& row, const Write& write) {
  using detail::kFours;
  detail::Raw raw[4][kFours];  // [i][g] lane 4 k + r: lane 4 k + i of row 4 g + r
  for (int g = 0; g < kFours; ++g) {
    const auto at = [&](int r) { return std::bit_cast<detail::Raw>(row(4 * g + r)); };
    const auto a = detail::pick_both<detail::Ones>(at(0), at(1));
    const auto b = detail::pick_both<detail::Ones>(at(2), at(3));
    const auto low = detail::pick_both<detail::Twos>(a.first, b.first);
    const auto high = detail::pick_both<detail::Twos>(a.second, b.second);
    raw[0][g] = low.first, raw[1][g] = low.second, raw[2][g] = high.first, raw[3][g] = high.second;
  }
  for (int i = 0; i < 4; ++i) {
    for (int step = 1; step < kFours; step *= 2) {
      detail::Raw next[kFours];
      for (int g = 0; g < kFours / 2; ++g) {
        const auto both = detail::pick_both<detail::Fours>(raw[i][2 * g], raw[i][2 * g + 1]);
        next[g] = both.first, next[g + kFours / 2] = both.second;
      }
      for (int g = 0; g < kFours; ++g) raw[i][g] = next[g];
    }
    for (int g = 0; g < kFours; ++g) write(4 * g + i, std::bit_cast<Vec>(raw[i][g]));
  }
}

}  // namespace arena::simd
