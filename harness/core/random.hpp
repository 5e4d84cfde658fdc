#pragma once
// Counter-based random numbers (Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). No state is shared: a number is a function of its key and its position.
//
// Stream layout. A RandomKey is 64 bits. `RandomKey(seed)` starts a tree; `key.fold(x)` is a child:
// the first 64 bits of Philox(key = key, counter = {x, kFoldDomain}). Folds are made in the order
// purpose, step, sequence, layer, head (those that apply). Position p of a stream is 32-bit word
// p % 4 of Philox(key = key, counter = {p / 4, kDrawDomain}). So any number can be had without the
// ones before it, by any thread, in any order.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

/// What a branch of the tree is for; the values are part of every golden result: only append.
enum class Purpose : std::uint64_t {
  kInitialise = 1,
  kData = 2,
  kShuffle = 3,
  kDropout = 4,
  kAttention = 5,
  kBuffer = 6,
  kBench = 7,
  kTest = 8,
};

/// One block of Philox4x32-10, as Random123 defines it: four words of a counter and a key.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

class RandomKey {
 public:
  explicit constexpr RandomKey(std::uint64_t seed = 0) : bits_(seed) {}
  RandomKey fold(std::uint64_t value) const;
  RandomKey fold(Purpose purpose) const { return fold(static_cast<std::uint64_t>(purpose)); }
  /// Folds a hash (FNV-1a) of the text, e.g. a parameter's name.
  RandomKey fold(std::string_view text) const;

  /// Words 4 * block .. 4 * block + 3 of this key's stream.
  std::array<std::uint32_t, 4> words(std::uint64_t block) const;
  /// The same for kBlocksAtOnce blocks from first_block on, at a fraction of the cost: word w of
  /// block first_block + b at [w][b].
  static constexpr std::size_t kBlocksAtOnce = 16;
  using WordPlanes = std::array<std::array<std::uint32_t, kBlocksAtOnce>, 4>;
  WordPlanes word_planes(std::uint64_t first_block) const;
  /// Uniform in [0, 1) with 24 bits, at a position of the stream.
  float uniform_at(std::uint64_t position) const;
  std::uint64_t bits() const { return bits_; }

 private:
  std::uint64_t bits_;
};

/// Draws one after another from a key's stream.
class RandomStream {
 public:
  explicit RandomStream(RandomKey key) : key_(key) {}

  std::uint32_t word();
  /// Uniform in [0, 1), 53 bits (two words).
  double uniform();
  /// Uniform whole number in [0, count), without modulo bias (Lemire's multiply and reject).
  Index below(Index count);
  /// Standard normal (Box-Muller; draws two uniforms, gives two numbers).
  double normal();
  /// A permutation of 0 .. count-1 (Fisher-Yates from the back).
  std::vector<Index> permutation(Index count);

 private:
  RandomKey key_;
  std::uint64_t position_ = 0;
  std::array<std::uint32_t, 4> block_{};
  double spare_normal_ = 0;
  bool has_spare_ = false;
};

/// Fills `out` with standard normals times `scale`, row by row in the order of the key's stream.
void fill_normal(RandomKey key, float scale, View out);
/// Fills `out` with uniforms in [-bound, bound], row by row.
void fill_uniform(RandomKey key, float bound, View out);

}  // namespace arena
