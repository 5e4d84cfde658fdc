#include "harness/core/workspace.hpp"

#include <algorithm>

namespace arena {

void* Workspace::take_bytes(Index bytes) {
  if (blocks_.empty()) blocks_.push_back(make_block(std::max(bytes, Index{1} << 16)));
  while (used_ + bytes > blocks_[block_].capacity) {
    if (block_ + 1 == blocks_.size()) {
      blocks_.push_back(make_block(std::max(bytes, blocks_[block_].capacity * 2)));
    }
    ++block_;
    used_ = 0;
  }
  std::byte* const begin = blocks_[block_].begin + used_;
  used_ += bytes;
  in_use_ += bytes;
  high_water_ = std::max(high_water_, in_use_);
  return begin;
}

void Workspace::release(const Mark& mark) {
  block_ = mark.block;
  used_ = mark.used_in_block;
  in_use_ = mark.in_use;
  if (in_use_ > 0 || blocks_.size() < 2) return;
  Index total = 0;
  for (const Block& block : blocks_) total += block.capacity;
  blocks_.clear();
  blocks_.push_back(make_block(total));
  block_ = 0;
  used_ = 0;
}

Workspace::Block Workspace::make_block(Index capacity) {
  Block block;
  block.storage =
      std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(capacity + kAlignment));
  const auto address = reinterpret_cast<std::uintptr_t>(block.storage.get());
  const auto padding = (kAlignment - static_cast<Index>(address % kAlignment)) % kAlignment;
  block.begin = block.storage.get() + padding;
  block.capacity = capacity;
  return block;
}

}  // namespace arena
