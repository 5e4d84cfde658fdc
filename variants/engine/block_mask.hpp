#pragma once
// Tile masks of patterns made of blocks.

#include "variants/engine/tile_mask.hpp"

namespace arena {

/// Query i of block b = i / query_block sees the keys of all blocks but b, or only of those before
/// it; key j is in block j / key_block.
class OtherBlocksMask final : public TileMask {
 public:
  enum class Blocks { kEarlier, kOther };
  OtherBlocksMask(const Extents& extents, Index query_block, Index key_block, Blocks blocks)
      : extents_(extents), query_block_(query_block), key_block_(key_block), blocks_(blocks) {}

  Range keys_of(Range queries, Range within) const override;
  Range queries_of(Range keys, Range within) const override;
  Cover cover(Range queries, Range keys) const override;
  void hide(Range queries, Range keys, ScoreTile scores) const override;
  /// Number of (query, key) pairs that are seen.
  Index covered() const;

 private:
  /// What the queries of block b do not see.
  Range hidden(Index b) const;

  Extents extents_;
  Index query_block_;
  Index key_block_;
  Blocks blocks_;
};

/// `number` sequences of `each` positions one after another. Query p of a sequence sees its keys
/// p - before .. p + after, its own among them or not.
class StackedBandMask final : public TileMask {
 public:
  enum class Own { kSeen, kHidden };
  StackedBandMask(Index number, Index each, Index before, Index after, Own own = Own::kSeen)
      : number_(number),
        each_(each),
        before_(std::min(before, each)),
        after_(std::min(after, each)),
        own_(own) {}

  Range keys_of(Range queries, Range within) const override;
  Range queries_of(Range keys, Range within) const override;
  Cover cover(Range queries, Range keys) const override;
  void hide(Range queries, Range keys, ScoreTile scores) const override;
  /// Number of (query, key) pairs that are seen.
  Index covered() const;

 private:
  Index number_, each_, before_, after_;
  Own own_;
};

/// Blocks by block: those of row b are block[begin[b]] .. block[begin[b + 1] - 1], ascending.
struct BlockLists {
  std::span<const std::int32_t> begin, block;

  std::span<const std::int32_t> row(Index b) const {
    const auto at = static_cast<std::size_t>(b);
    const auto first = static_cast<std::size_t>(begin[at]);
    return block.subspan(first, static_cast<std::size_t>(begin[at + 1]) - first);
  }
};

/// Writes the transpose of `lists`; `begin` and `block` are as long as its own.
BlockLists transpose(const BlockLists& lists, std::span<std::int32_t> begin,
                     std::span<std::int32_t> block);

/// What a pair must satisfy beside being in blocks that see each other: by labels (say, positions
/// before a permutation; whole or half numbers below 2^23) of its query and key.
struct PairRule {
  const float* query = nullptr;  // [query_len]; null: no rule
  const float* key = nullptr;    // [key_len]
  bool hide_later = false;       // key label > query label
  bool hide_equal = false;       // key label == query label
};

/// Blocks of `block` queries and as many keys see each other by lists: `keys` for each block of
/// queries and its transpose `queries`.
class BlockMask final : public TileMask {
 public:
  BlockMask(Index block, const BlockLists& keys, const BlockLists& queries, PairRule rule = {})
      : block_(block), keys_(keys), queries_(queries), rule_(rule) {}

  Range keys_of(Range queries, Range within) const override;
  Range queries_of(Range keys, Range within) const override;
  Cover cover(Range queries, Range keys) const override;
  void hide(Range queries, Range keys, ScoreTile scores) const override;

 private:
  Index block_;
  BlockLists keys_;
  BlockLists queries_;
  PairRule rule_;
};

/// Queries of block b see the keys of the blocks b + first .. b + last that `rule` lets them see.
class BlockBandMask final : public TileMask {
 public:
  BlockBandMask(Index block, Index first, Index last, PairRule rule = {})
      : block_(block), first_(first), last_(last), rule_(rule) {}

  Range keys_of(Range queries, Range within) const override;
  Range queries_of(Range keys, Range within) const override;
  Cover cover(Range queries, Range keys) const override;
  void hide(Range queries, Range keys, ScoreTile scores) const override;

 private:
  Index block_, first_, last_;
  PairRule rule_;
};

}  // namespace arena
