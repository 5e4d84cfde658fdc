#pragma once
// Vectors of floats as wide as the build's instruction set: the only file that includes xsimd.
//
// Multiply-adds are written x * y + z, because xsimd 8.1 has no fused one for AVX-512; the compiler
// contracts them. Not used, because wrong or missing there: reduce_max, `!=` with NaN, xor of
// masks.

#include <bit>
#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "harness/core/matrix.hpp"

namespace arena::simd {

using Vec = xsimd::batch<float>;
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
inline bool any(Mask mask) {
  return xsimd::any(mask);
}

/// Loads once into a register. Without it gcc folds the load into each multiply-add that uses x.
[[gnu::always_inline]] inline Vec load_once(const float* from) {
  Vec x = load(from);
  asm("" : "+v"(x.data));
  return x;
}

/// The first `count` <= kWidth floats at `from`; zero in the other lanes.
inline Vec load_part(const float* from, Index count) {
  if (count == kWidth) return load(from);
  alignas(64) float lanes[kWidth] = {};
  for (Index i = 0; i < count; ++i) lanes[i] = from[i];
  return load(lanes);
}
inline void store_part(float* to, Vec x, Index count) {
  if (count == kWidth) return store(to, x);
  alignas(64) float lanes[kWidth];
  store(lanes, x);
  for (Index i = 0; i < count; ++i) to[i] = lanes[i];
}
/// Calls body(first, lanes) for each vector of `count` floats; the last may have fewer lanes.
template <class Body>
[[gnu::always_inline]] inline void for_vectors(Index count, const Body& body) {
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

/// 2^x for x <= 127, relative error below 2e-7, exp2(0) = 1; 0 for x < -126 (minus infinity too),
/// NaN for NaN. x = n + f with n whole and |f| <= 1/2, found by adding 1.5 * 2^23, whose low bits
/// are then n; 2^f is a polynomial of degree 5, minimax with constant term 1; n goes into the
/// exponent by integer addition.
inline Vec exp2(Vec x) {
  const Vec magic(12582912.0F);
  const Vec shifted = x + magic;
  const Vec f = x - (shifted - magic);
  Vec p = Vec(0.001326472731307149F) * f + Vec(0.009671512991189957F);
  p = p * f + Vec(0.05550733581185341F);
  p = p * f + Vec(0.24022242426872253F);
  p = p * f + Vec(0.6931470036506653F);
  p = p * f + Vec(1.0F);
  const IntVec exponent = std::bit_cast<IntVec>(shifted) << 23;
  const Vec result = std::bit_cast<Vec>(std::bit_cast<IntVec>(p) + exponent);
  return select(x < Vec(-126.0F), Vec(0.0F), result);
}

namespace detail {

using Raw = float __attribute__((vector_size(kWidth * sizeof(float))));
using RawIndex = std::int32_t __attribute__((vector_size(kWidth * sizeof(float))));

/// Exchanges the off-diagonal blocks of kHalf lanes between row pairs kHalf apart.
template <int kHalf>
[[gnu::always_inline]] inline void exchange(Raw (&rows)[kWidth]) {
  RawIndex low{}, high{};
  for (int lane = 0; lane < static_cast<int>(kWidth); ++lane) {
    const bool second = (lane & kHalf) != 0;
    low[lane] = second ? static_cast<int>(kWidth) + lane - kHalf : lane;
    high[lane] = second ? static_cast<int>(kWidth) + lane : lane + kHalf;
  }
  for (int i = 0; i < static_cast<int>(kWidth); ++i) {
    if ((i & kHalf) != 0) continue;
    const Raw first = rows[i], second = rows[i + kHalf];
    rows[i] = __builtin_shuffle(first, second, low);
    rows[i + kHalf] = __builtin_shuffle(first, second, high);
  }
  if constexpr (kHalf > 1) exchange<kHalf / 2>(rows);
}

}  // namespace detail

/// rows[i] lane j <-> rows[j] lane i.
[[gnu::always_inline]] inline void transpose(Vec (&rows)[kWidth]) {
  detail::Raw raw[kWidth];
  for (int i = 0; i < static_cast<int>(kWidth); ++i) raw[i] = std::bit_cast<detail::Raw>(rows[i]);
  detail::exchange<static_cast<int>(kWidth) / 2>(raw);
  for (int i = 0; i < static_cast<int>(kWidth); ++i) rows[i] = std::bit_cast<Vec>(raw[i]);
}

}  // namespace arena::simd
