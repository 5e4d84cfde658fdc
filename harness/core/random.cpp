#include "harness/core/random.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>
#include <string_view>

#include "harness/core/hash.hpp"

namespace arena {
namespace {

constexpr std::uint32_t kFoldDomain = 0xA17E0001;
constexpr std::uint32_t kDrawDomain = 0xA17E0002;

std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t index, std::uint32_t domain) {
  return philox4x32(
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), domain, 0},
      {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
}

#if defined(__AVX512F__)
constexpr std::size_t kWordLanes = 8;
#elif defined(__AVX2__)
constexpr std::size_t kWordLanes = 4;
#else
constexpr std::size_t kWordLanes = 2;
#endif
using WideWords [[gnu::vector_size(kWordLanes * sizeof(std::uint64_t))]] = std::uint64_t;
using Words [[gnu::vector_size(kWordLanes * sizeof(std::uint32_t))]] = std::uint32_t;

/// Products of the low halves of lanes. Compilers do not see that one instruction does it.
inline WideWords multiply_words(WideWords x, WideWords y) {
#if defined(__AVX512F__)
  return std::bit_cast<WideWords>(
      _mm512_mul_epu32(std::bit_cast<__m512i>(x), std::bit_cast<__m512i>(y)));
#elif defined(__AVX2__)
  return std::bit_cast<WideWords>(
      _mm256_mul_epu32(std::bit_cast<__m256i>(x), std::bit_cast<__m256i>(y)));
#elif defined(__SSE2__)
  return std::bit_cast<WideWords>(
      _mm_mul_epu32(std::bit_cast<__m128i>(x), std::bit_cast<__m128i>(y)));
#else
  return (x & 0xFFFFFFFF) * (y & 0xFFFFFFFF);
#endif
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  std::array<std::uint32_t, 4> c = counter;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return c;
}

RandomKey RandomKey::fold(std::uint64_t value) const {
  const auto words = philox(bits_, value, kFoldDomain);
  return RandomKey(words[0] | (std::uint64_t{words[1]} << 32));
}

RandomKey RandomKey::fold(std::string_view text) const {
  return fold(fnv1a(text));
}

std::array<std::uint32_t, 4> RandomKey::words(std::uint64_t block) const {
  return philox(bits_, block, kDrawDomain);
}

// Philox again, with a word in each 64-bit lane. Only the low halves of lanes count until the end,
// so a product's low word needs no masking and its high word one shift.
RandomKey::WordPlanes RandomKey::word_planes(std::uint64_t first_block) const {
  constexpr std::size_t kVectors = kBlocksAtOnce / kWordLanes;
  WideWords c[4][kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) {
    for (std::size_t lane = 0; lane < kWordLanes; ++lane) {
      c[0][v][lane] = first_block + v * kWordLanes + lane;
    }
    c[1][v] = c[0][v] >> 32;
    c[2][v] = WideWords{} + kDrawDomain;
    c[3][v] = WideWords{};
  }
  const WideWords m0 = WideWords{} + 0xD2511F53, m1 = WideWords{} + 0xCD9E8D57;
  auto k0 = static_cast<std::uint32_t>(bits_);
  auto k1 = static_cast<std::uint32_t>(bits_ >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      const WideWords p0 = multiply_words(c[0][v], m0), p1 = multiply_words(c[2][v], m1);
      c[0][v] = (p1 >> 32) ^ c[1][v] ^ k0;
      c[1][v] = p1;
      c[2][v] = (p0 >> 32) ^ c[3][v] ^ k1;
      c[3][v] = p0;
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  WordPlanes planes;
  for (std::size_t w = 0; w < planes.size(); ++w) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      const auto words = __builtin_convertvector(c[w][v], Words);
      std::memcpy(planes[w].data() + v * kWordLanes, &words, sizeof(words));
    }
  }
  return planes;
}

float RandomKey::uniform_at(std::uint64_t position) const {
  return static_cast<float>(words(position / 4)[position % 4] >> 8) * 0x1p-24F;
}

std::uint32_t RandomStream::word() {
  if (position_ % 4 == 0) block_ = key_.words(position_ / 4);
  return block_[position_++ % 4];
}

double RandomStream::uniform() {
  const std::uint64_t high = word() >> 5;
  const std::uint64_t low = word() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

Index RandomStream::below(Index count) {
  assert(count > 0 && count <= Index{0xFFFFFFFF});
  const auto n = static_cast<std::uint32_t>(count);
  std::uint64_t product = std::uint64_t{word()} * n;
  if (static_cast<std::uint32_t>(product) < n) {
    const std::uint32_t threshold = (0U - n) % n;
    while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{word()} * n;
  }
  return static_cast<Index>(product >> 32);
}

double RandomStream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_normal_;
  }
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

std::vector<Index> RandomStream::permutation(Index count) {
  std::vector<Index> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), Index{0});
  for (Index i = count - 1; i > 0; --i) {
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(below(i + 1))]);
  }
  return order;
}

void fill_normal(RandomKey key, float scale, View out) {
  RandomStream stream(key);
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index j = 0; j < out.cols(); ++j) {
      out(i, j) = scale * static_cast<float>(stream.normal());
    }
  }
}

void fill_uniform(RandomKey key, float bound, View out) {
  RandomStream stream(key);
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index j = 0; j < out.cols(); ++j) {
      out(i, j) = bound * static_cast<float>(2.0 * stream.uniform() - 1.0);
    }
  }
}

}  // namespace arena
