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
ARENA_INLINE Vec first_of(const float* from, Index count) {
  if (count >= kTile) return simd::load(from);
  return count > 0 ? simd::load_part(from, count) : Vec(0.0F);
}

struct TwoVectors {
  Vec low, high;
};

/// The parts of 16 pairs of vectors, to[part].at[tile][r] = those of pair r; turned: of column r.
template <int kParts, bool kTurn, class PairOf>
ARENA_INLINE void pack_tile(const PairOf& pair_of_row, Panel* to, Index tile) {
  if constexpr (kTurn) {
    Vec low[kTile], high[kTile];
    for (Index r = 0; r < kTile; ++r) low[r] = pair_of_row(r).low;
    simd::transpose(low);
    for (Index r = 0; r < kTile; ++r) high[r] = pair_of_row(r).high;
    simd::transpose(high);
    for (Index r = 0; r < kTile; ++r) store_parts<kParts>(low[r], high[r], to, tile, r);
  } else {
    for (Index r = 0; r < kTile; ++r) {
      const auto [low, high] = pair_of_row(r);
      store_parts<kParts>(low, high, to, tile, r);
    }
  }
}

/// Panels of `rows` by `cols` blocks, row by row. row_of(block, chunk, r) gives the two vectors
/// that make row r of a tile, or its column.
template <int kParts, bool kTurn, class RowOf>
ARENA_INLINE void pack(Index rows, Index cols, const RowOf& row_of, Panel* to) {
  for (Index block = 0; block < rows; ++block) {
    for (Index chunk = 0; chunk < cols; ++chunk, to += kParts) {
      for (Index tile = 0; tile < 2; ++tile) {
        const auto pair_of_row = [&](Index r) ARENA_INLINE_LAMBDA {
          return row_of(block * kBlock + tile * kTile, chunk * kBlock, r);
        };
        pack_tile<kParts, kTurn>(pair_of_row, to, tile);
      }
    }
  }
}

/// Rows outside, columns inside.
template <int kParts, bool kTurn>
void pack_rows(const Source& x, float factor, Panel* to) {
  const Vec times(factor), zero(0.0F);
  const auto row_of = [&](Index first, Index c, Index r) ARENA_INLINE_LAMBDA -> TwoVectors {
    if (first + r >= x.rows) return {zero, zero};
    const float* const row = x.data + (first + r) * x.stride + c;
    const Vec low = first_of(row, x.cols - c), high = first_of(row + kTile, x.cols - c - kTile);
    if constexpr (kTurn) return {low * times, high * times};
    return {low, high};
  };
  pack<kParts, kTurn>(blocks(x.rows), blocks(x.cols), row_of, to);
}

/// Columns outside, rows inside.
template <int kParts, bool kTurn>
void pack_columns(const Source& x, Panel* to) {
  const auto part_of_row = [&](Index r, Index c) ARENA_INLINE_LAMBDA {
    return r < x.rows ? first_of(x.data + r * x.stride + c, x.cols - c) : Vec(0.0F);
  };
  const auto row_of = [&](Index c, Index first, Index u) ARENA_INLINE_LAMBDA -> TwoVectors {
    return {part_of_row(first + u, c), part_of_row(first + u + kTile, c)};
  };
  pack<kParts, kTurn>(blocks(x.cols), blocks(x.rows), row_of, to);
}

}  // namespace

template <int kParts>
void pack_left(const Source& x, Panel* to) {
  pack_rows<kParts, false>(x, 1, to);
}
template <int kParts>
void pack_right(const Source& x, Panel* to) {
  pack_columns<kParts, false>(x, to);
}
template <int kParts>
void pack_left_transposed(const Source& x, Panel* to) {
  pack_columns<kParts, true>(x, to);
}
template <int kParts>
void pack_right_transposed(const Source& x, float factor, Panel* to) {
  pack_rows<kParts, true>(x, factor, to);
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
