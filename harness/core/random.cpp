#include "harness/core/random.hpp"

#include <cassert>
#include <cmath>
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

// Philox again, lane by lane, in a form that compilers turn into vector code.
RandomKey::WordPlanes RandomKey::word_planes(std::uint64_t first_block) const {
  WordPlanes c{};
  for (std::size_t b = 0; b < kBlocksAtOnce; ++b) {
    c[0][b] = static_cast<std::uint32_t>(first_block + b);
    c[1][b] = static_cast<std::uint32_t>((first_block + b) >> 32);
    c[2][b] = kDrawDomain;
  }
  auto k0 = static_cast<std::uint32_t>(bits_);
  auto k1 = static_cast<std::uint32_t>(bits_ >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t b = 0; b < kBlocksAtOnce; ++b) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c[0][b];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c[2][b];
      c[0][b] = static_cast<std::uint32_t>(p1 >> 32) ^ c[1][b] ^ k0;
      c[1][b] = static_cast<std::uint32_t>(p1);
      c[2][b] = static_cast<std::uint32_t>(p0 >> 32) ^ c[3][b] ^ k1;
      c[3][b] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
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
