#pragma once
// The matrix unit of recent Intel processors (AMX): a tile of 16 x 16 float sums += 16 x 32 times
// 32 x 16 bfloat16 numbers in 16 cycles, sixteen times the rate of the vector units.
//
// A float's 24 bits of significand are cut into three parts of 8, each exact in bfloat16: x = x0 +
// x1 + x2. The product x y is summed as x2 y0 + x1 y0 + x1 y1 + x0 y1 + x0 y0 + x0 y2; what is left
// out is below 2^-21 of it, and six products still run at 2.7 times the rate of the vector units.
// (Henry, Tang, Heinecke, "Leveraging the bfloat16 artificial intelligence datatype for
// higher-precision computations", 2019.) Numbers below 2^-110 lose low parts, which the unit takes
// for zero; an infinity becomes NaN.
//
// Everything goes in blocks of 32, zeros beyond the matrix: a product is made in blocks of 32 x 32
// sums, its inner dimension in chunks of 32. A pair that the unit multiplies and adds together are
// the elements u and u + 16 of a chunk, in every operand.

#include <cstdint>

#include "harness/layers/micro_kernel.hpp"

// What the compiler may assemble; clang 14 has a name of its own for it.
#if defined(__AMX_BF16__) || defined(__AMXBF16__)
#define ARENA_HAS_MATRIX_UNIT
#endif

namespace arena::matrix_unit {

#ifdef ARENA_HAS_MATRIX_UNIT
constexpr bool kInBuild = true;
#else
constexpr bool kInBuild = false;
#endif

/// Whether this machine has the unit, this process may use it and this build can. The environment
/// variable ARENA_HIDE_AMX, set to anything, says no: so both ways can be run on one machine.
bool available();

constexpr Index kBlock = 32;
constexpr Index kTile = 16;

constexpr Index blocks(Index count) {
  return (count + kBlock - 1) / kBlock;
}

/// 32 rows (columns) of an operand by 32 of the inner dimension, one part: two tiles of 16 rows of
/// 16 pairs of bfloat16.
struct alignas(64) Panel {
  std::uint32_t at[2][kTile][kTile];
};

/// The parts of a float, by kParts: 3 are exact; 1 is its nearest bfloat16.
constexpr int kExact = 3;
/// Products of parts in a product of floats.
template <int kParts>
constexpr Index kProducts = kParts == 1 ? 1 : 6;

/// A packed operand: panels in the order [block of rows (columns)][chunk][part].
struct Operand {
  const Panel* panels = nullptr;
  Index stride = 0;  // panels from one block to the next
};

/// A matrix to be packed: element (i, j) is data[i * stride + j].
struct Source {
  const float* data;
  Index stride;
  Index rows, cols;
};
inline Source rows_of(const ConstView& x, Index first, Index count) {
  return {x.data() + first * x.outerStride(), x.outerStride(), count, x.cols()};
}

#ifdef ARENA_HAS_MATRIX_UNIT

/// The unit's registers belong to the caller while one of these lives.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};

/// Pairs (low, high) of the upper 16 bits of each lane.
ARENA_INLINE __m512i pair_of(simd::Vec low, simd::Vec high) {
  constexpr int kLowOrMaskedHigh = 0xF8;
  return _mm512_ternarylogic_epi32(
      _mm512_srli_epi32(std::bit_cast<__m512i>(low), 16), std::bit_cast<__m512i>(high),
      _mm512_set1_epi32(static_cast<int>(0xFFFF0000U)), kLowOrMaskedHigh);
}
/// x without what its upper 16 bits hold, exact.
ARENA_INLINE simd::Vec rest_of(simd::Vec x) {
  const __m512i upper =
      _mm512_and_si512(std::bit_cast<__m512i>(x), _mm512_set1_epi32(static_cast<int>(0xFFFF0000U)));
  return x - std::bit_cast<simd::Vec>(upper);
}
/// x such that its upper 16 bits are its nearest bfloat16, ties to even.
ARENA_INLINE simd::Vec rounded(simd::Vec x) {
  const auto bits = std::bit_cast<__m512i>(x);
  const __m512i last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __mmask16 is_number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
  return std::bit_cast<simd::Vec>(_mm512_mask_add_epi32(
      bits, is_number, bits, _mm512_add_epi32(last, _mm512_set1_epi32(0x7FFF))));
}

ARENA_INLINE void store_pairs(simd::Vec low, simd::Vec high, Panel& to, Index tile, Index row) {
  _mm512_store_si512(to.at[tile][row], pair_of(low, high));
}
/// A row of a tile in the panels to[0], to[1], ... = the parts of (low, high).
template <int kParts>
ARENA_INLINE void store_parts(simd::Vec low, simd::Vec high, Panel* to, Index tile, Index row) {
  if constexpr (kParts == 1) {
    low = rounded(low);
    high = rounded(high);
  }
  unrolled<kParts>([&](auto part) ARENA_INLINE_LAMBDA {
    store_pairs(low, high, to[part], tile, row);
    if constexpr (part + 1 < kParts) {
      low = rest_of(low);
      high = rest_of(high);
    }
  });
}

/// Row i of 32 of a left operand: 32 numbers of the inner dimension.
template <int kParts>
ARENA_INLINE void pack_left_row(const float* row, Panel* to, Index i) {
  store_parts<kParts>(simd::load(row), simd::load(row + kTile), to, i / kTile, i % kTile);
}

/// Rows outside, columns inside: x as a left operand.
template <int kParts>
void pack_left(const Source& x, Panel* to);
/// Columns outside, rows inside: x as a right operand.
template <int kParts>
void pack_right(const Source& x, Panel* to);
/// Columns outside, rows inside: x^T as a left operand.
template <int kParts>
void pack_left_transposed(const Source& x, Panel* to);
/// Rows outside, columns inside, times a factor: x^T as a right operand.
template <int kParts>
void pack_right_transposed(const Source& x, float factor, Panel* to);

/// 32 x 32 sums in the unit's registers 0 to 3; left operands go through 4 and 5, right ones
/// through 6 and 7. Addresses are named outside asm: clang 14 captures nothing for asm alone.
struct Sums {
  static void clear() {
    for_each([](auto r, auto c) ARENA_INLINE_LAMBDA {
      asm volatile("tilezero %%tmm%c0" : : "i"(2 * r + c));
    });
  }
  /// Rows of floats `stride` apart; with 0 all rows are the one at `from`.
  ARENA_INLINE static void load(const float* from, Index stride) {
    for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      const float* const tile = from + r * kTile * stride + c * kTile;
      const std::size_t bytes = static_cast<std::size_t>(stride) * sizeof(float);
      asm volatile("tileloadd (%0,%1,1), %%tmm%c2"
                   :
                   : "r"(tile), "r"(bytes), "i"(2 * r + c)
                   : "memory");
    });
  }
  ARENA_INLINE static void store(float* to, Index stride) {
    for_each([&](auto r, auto c) ARENA_INLINE_LAMBDA {
      float* const tile = to + r * kTile * stride + c * kTile;
      const std::size_t bytes = static_cast<std::size_t>(stride) * sizeof(float);
      asm volatile("tilestored %%tmm%c2, (%0,%1,1)"
                   :
                   : "r"(tile), "r"(bytes), "i"(2 * r + c)
                   : "memory");
    });
  }
  /// sums += a b over `depth` chunks. weft() is called after each product of parts: work for the
  /// vector units meanwhile.
  template <int kParts, class Weft>
  ARENA_INLINE static void multiply_add(const Panel* a, const Panel* b, Index depth, Weft&& weft) {
    const auto multiply = [&]() ARENA_INLINE_LAMBDA {
      for_each([](auto r, auto c) ARENA_INLINE_LAMBDA {
        asm volatile("tdpbf16ps %%tmm%c0, %%tmm%c1, %%tmm%c2"
                     :
                     : "i"(6 + c), "i"(4 + r), "i"(2 * r + c));
      });
      weft();
    };
    for (Index t = 0; t < depth; ++t, a += kParts, b += kParts) {
      if constexpr (kParts == 1) {
        operand<4>(a[0]), operand<6>(b[0]), multiply();
      } else {
        // small ones first; one operand changes at a time
        operand<4>(a[2]), operand<6>(b[0]), multiply();
        operand<4>(a[1]), multiply();
        operand<6>(b[1]), multiply();
        operand<4>(a[0]), multiply();
        operand<6>(b[0]), multiply();
        operand<6>(b[2]), multiply();
      }
    }
  }

 private:
  template <class Body>
  ARENA_INLINE static void for_each(Body&& body) {
    unrolled<2>([&](auto r) ARENA_INLINE_LAMBDA {
      unrolled<2>([&](auto c) ARENA_INLINE_LAMBDA { body(r, c); });
    });
  }
  /// Into registers kFirst and kFirst + 1.
  template <int kFirst>
  ARENA_INLINE static void operand(const Panel& panel) {
    unrolled<2>([&](auto i) ARENA_INLINE_LAMBDA {
      const auto& tile = panel.at[i];
      asm volatile("tileloadd (%0,%1,1), %%tmm%c2"
                   :
                   : "r"(tile), "r"(sizeof(panel.at[i][0])), "i"(kFirst + i), "m"(panel));
    });
  }
};

/// rows x cols blocks of to = a b, `depth` chunks deep. begin(row, col) starts the sums of a block;
/// weft() as in Sums::multiply_add.
template <int kParts, class Begin, class Weft>
ARENA_INLINE void multiply(const Operand& a, Index rows, const Operand& b, Index cols, Index depth,
                           float* to, Index stride, const Begin& begin, Weft&& weft) {
  for (Index r = 0; r < rows; ++r) {
    for (Index c = 0; c < cols; ++c) {
      begin(r * kBlock, c * kBlock);
      Sums::multiply_add<kParts>(a.panels + r * a.stride, b.panels + c * b.stride, depth, weft);
      Sums::store(to + r * kBlock * stride + c * kBlock, stride);
    }
  }
}

#endif

}  // namespace arena::matrix_unit
