#pragma once
// Which blocks of keys each block of queries sees: a band of three, the first and the last one, and
// some drawn at random; the first and the last block see all. As lists (block_mask.hpp), row by row
// at block[begin[b]] .. block[begin[b + 1] - 1].

#include "variants/attention.hpp"
#include "variants/engine/block_mask.hpp"

namespace arena {

struct RandomBlocks {
  RandomBlocks(Index len, Index block_size, Index drawn)
      : length(len), size(block_size), random(drawn), count((len + block_size - 1) / block_size) {}

  Extents extents() const { return {length, length}; }
  /// How many blocks block b sees: all, where they are no more than a band and `random`.
  Index row(Index b) const;
  /// The sum over all rows.
  Index total() const;
  /// Pairs of positions that see each other.
  Index pairs() const;
  /// Bytes of the lists and of their transpose.
  Index list_bytes() const;

  /// Writes begin [count + 1] and block [total()], drawn from `key` without replacement.
  void draw(RandomKey key, std::span<std::int32_t> begin, std::span<std::int32_t> block) const;
  /// Those of a plan, "begin" and "block". Throws Error where they have another shape or order.
  void read(const Plan& plan, std::span<std::int32_t> begin, std::span<std::int32_t> block) const;

  Index length, size, random, count;

 private:
  bool sees_all(Index b) const { return b == 0 || b == count - 1; }
  void begin_rows(std::span<std::int32_t> begin) const;
  void draw_row(Index b, RandomStream stream, std::span<std::int32_t> row) const;
};

}  // namespace arena
