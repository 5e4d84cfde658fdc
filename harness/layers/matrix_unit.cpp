#include "harness/layers/matrix_unit.hpp"

#include <algorithm>
#include <cstdlib>

#ifdef ARENA_HAS_MATRIX_UNIT
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace arena::matrix_unit {
namespace {

#ifdef ARENA_HAS_MATRIX_UNIT

/// The operating system keeps the unit's registers for those who ask (Linux 5.16).
bool permitted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool detected() {
  if (std::getenv("ARENA_HIDE_AMX") != nullptr) return false;
  constexpr unsigned kBf16 = 1U << 22, kTiles = 1U << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  return (d & kBf16) != 0 && (d & kTiles) != 0 && permitted();
}

/// The operand of ldtilecfg: all registers are 16 rows of 64 bytes.
struct alignas(64) Configuration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr Configuration kConfiguration;

#endif

}  // namespace

bool available() {
#ifdef ARENA_HAS_MATRIX_UNIT
  static const bool is_available = detected();
  return is_available;
#else
  return false;
#endif
}

#ifdef ARENA_HAS_MATRIX_UNIT

Session::Session() {
  asm volatile("ldtilecfg %0" : : "m"(kConfiguration));
}
Session::~Session() {
  asm volatile("tilerelease");
}

namespace {

using simd::Vec;

/// The first `count` (at most 16, at least none) floats, zeros beyond.
Vec first_of(const float* from, Index count) {
  if (count >= kTile) return simd::load(from);
  return count > 0 ? simd::load_part(from, count) : Vec(0.0F);
}

struct TwoVectors {
  Vec low, high;
};

/// 32 x 32 elements or less as panels. pair_of(i) gives the two vectors that make row i of 32;
/// turned: its column.
template <int kParts, bool kTurn, class PairOf>
ARENA_INLINE void pack_block(const PairOf& pair_of, Panel* to) {
  for (Index tile = 0; tile < 2; ++tile) {
    if constexpr (kTurn) {
      Vec low[kTile], high[kTile];
      simd::transpose([&](Index r) ARENA_INLINE_LAMBDA { return pair_of(tile * kTile + r).low; },
                      [&](Index r, Vec x) ARENA_INLINE_LAMBDA { low[r] = x; });
      simd::transpose([&](Index r) ARENA_INLINE_LAMBDA { return pair_of(tile * kTile + r).high; },
                      [&](Index r, Vec x) ARENA_INLINE_LAMBDA { high[r] = x; });
      for (Index r = 0; r < kTile; ++r) store_parts<kParts>(low[r], high[r], to, tile, r);
    } else {
      for (Index r = 0; r < kTile; ++r) {
        const auto [low, high] = pair_of(tile * kTile + r);
        store_parts<kParts>(low, high, to, tile, r);
      }
    }
  }
}

/// Rows outside, columns inside.
template <int kParts, bool kTurn>
[[gnu::noinline]] void pack_rows(const float* data, Index stride, Index rows, Index cols,
                                 float factor, Panel* to) {
  const Vec times(factor);
  const auto scaled = [&](Vec x) ARENA_INLINE_LAMBDA { return kTurn ? x * times : x; };
  if (rows >= kBlock && cols >= kBlock) {
    const auto pair_of = [=](Index i) ARENA_INLINE_LAMBDA -> TwoVectors {
      const float* const row = data + i * stride;
      return {scaled(simd::load(row)), scaled(simd::load(row + kTile))};
    };
    return pack_block<kParts, kTurn>(pair_of, to);
  }
  const auto pair_of = [=](Index i) ARENA_INLINE_LAMBDA -> TwoVectors {
    if (i >= rows) return {Vec(0.0F), Vec(0.0F)};
    const float* const row = data + i * stride;
    return {scaled(first_of(row, cols)), scaled(first_of(row + kTile, cols - kTile))};
  };
  pack_block<kParts, kTurn>(pair_of, to);
}

/// Columns outside, rows inside.
template <int kParts, bool kTurn>
[[gnu::noinline]] void pack_columns(const float* data, Index stride, Index rows, Index cols,
                                    Panel* to) {
  if (rows >= kBlock && cols >= kBlock) {
    const auto pair_of = [=](Index i) ARENA_INLINE_LAMBDA -> TwoVectors {
      const float* const at = data + i % kTile * stride + i / kTile * kTile;
      return {simd::load(at), simd::load(at + kTile * stride)};
    };
    return pack_block<kParts, kTurn>(pair_of, to);
  }
  const auto pair_of = [=](Index i) ARENA_INLINE_LAMBDA -> TwoVectors {
    const Index r = i % kTile, c = i / kTile * kTile;
    const float* const at = data + r * stride + c;
    return {r < rows ? first_of(at, cols - c) : Vec(0.0F),
            r + kTile < rows ? first_of(at + kTile * stride, cols - c) : Vec(0.0F)};
  };
  pack_block<kParts, kTurn>(pair_of, to);
}

template <int kParts, bool kTurn>
void pack_all_rows(const Source& x, float factor, Panel* to) {
  for (Index row = 0; row < x.rows; row += kBlock) {
    for (Index col = 0; col < x.cols; col += kBlock, to += kParts) {
      pack_rows<kParts, kTurn>(x.data + row * x.stride + col, x.stride, x.rows - row, x.cols - col,
                               factor, to);
    }
  }
}

template <int kParts, bool kTurn>
void pack_all_columns(const Source& x, Panel* to) {
  for (Index col = 0; col < x.cols; col += kBlock) {
    for (Index row = 0; row < x.rows; row += kBlock, to += kParts) {
      pack_columns<kParts, kTurn>(x.data + row * x.stride + col, x.stride, x.rows - row,
                                  x.cols - col, to);
    }
  }
}

}  // namespace

template <int kParts>
void pack_left(const Source& x, Panel* to) {
  pack_all_rows<kParts, false>(x, 1, to);
}
template <int kParts>
void pack_right(const Source& x, Panel* to) {
  pack_all_columns<kParts, false>(x, to);
}
template <int kParts>
void pack_left_transposed(const Source& x, Panel* to) {
  pack_all_columns<kParts, true>(x, to);
}
template <int kParts>
void pack_right_transposed(const Source& x, float factor, Panel* to) {
  pack_all_rows<kParts, true>(x, factor, to);
}

template void pack_left<1>(const Source&, Panel*);
template void pack_left<kExact>(const Source&, Panel*);
template void pack_right<1>(const Source&, Panel*);
template void pack_right<kExact>(const Source&, Panel*);
template void pack_left_transposed<1>(const Source&, Panel*);
template void pack_left_transposed<kExact>(const Source&, Panel*);
template void pack_right_transposed<1>(const Source&, float, Panel*);
template void pack_right_transposed<kExact>(const Source&, float, Panel*);

#endif

}  // namespace arena::matrix_unit
