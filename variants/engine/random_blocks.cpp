#include "variants/engine/random_blocks.hpp"

#include <algorithm>

namespace arena {

Index RandomBlocks::row(Index b) const {
  const Index band = 5 - Index{b == 1} - Index{b == count - 2};
  return sees_all(b) ? count : std::min(count, band + random);
}

Index RandomBlocks::total() const {
  Index sum = 0;
  for (Index b = 0; b < count; ++b) sum += row(b);
  return sum;
}

/// Every block sees the last one, which alone may be short.
Index RandomBlocks::pairs() const {
  const Index last = length - (count - 1) * size;
  Index sum = 0;
  for (Index b = 0; b < count; ++b) {
    sum += (b < count - 1 ? size : last) * ((row(b) - 1) * size + last);
  }
  return sum;
}

Index RandomBlocks::list_bytes() const {
  return 2 * stored_bytes<std::int32_t>(count + 1) + 2 * stored_bytes<std::int32_t>(total());
}

void RandomBlocks::begin_rows(std::span<std::int32_t> begin) const {
  begin[0] = 0;
  for (Index b = 0; b < count; ++b) {
    const auto at = static_cast<std::size_t>(b);
    begin[at + 1] = begin[at] + static_cast<std::int32_t>(row(b));
  }
}

void RandomBlocks::draw(RandomKey key, std::span<std::int32_t> begin,
                        std::span<std::int32_t> block) const {
  begin_rows(begin);
  for (Index b = 0; b < count; ++b) {
    const auto first = static_cast<std::size_t>(begin[static_cast<std::size_t>(b)]);
    draw_row(b, RandomStream(key.fold(static_cast<std::uint64_t>(b))),
             block.subspan(first, static_cast<std::size_t>(row(b))));
  }
}

/// Inserts, so that they are ascending, the blocks that block b sees into a row of the right
/// length.
void RandomBlocks::draw_row(Index b, RandomStream stream, std::span<std::int32_t> row) const {
  std::size_t filled = 0;
  const auto insert = [&](Index block) {
    const auto end = row.begin() + static_cast<std::ptrdiff_t>(filled);
    const auto place = std::lower_bound(row.begin(), end, block);
    if (place != end && *place == block) return;
    std::copy_backward(place, end, end + 1);
    *place = static_cast<std::int32_t>(block);
    ++filled;
  };
  if (static_cast<Index>(row.size()) == count) {
    for (Index block = 0; block < count; ++block) insert(block);
    return;
  }
  for (const Index block : {Index{0}, b - 1, b, b + 1, count - 1}) insert(block);
  while (filled < row.size()) insert(stream.below(count));
}

void RandomBlocks::read(const Plan& plan, std::span<std::int32_t> begin,
                        std::span<std::int32_t> block) const {
  const std::vector<std::int64_t>&begins = plan.at("begin"), &blocks = plan.at("block");
  check(begins.size() == begin.size() && blocks.size() == block.size(),
        "a plan for {} blocks has {} numbers 'begin' and {} 'block'", count, begins.size(),
        blocks.size());
  begin_rows(begin);
  for (Index b = 0; b < count; ++b) {
    const auto at = static_cast<std::size_t>(b);
    check(begins[at] == begin[at], "the plan's row {} begins at {}, not {}", b, begins[at],
          begin[at]);
    for (std::int32_t e = begin[at]; e < begin[at + 1]; ++e) {
      const std::int64_t seen = blocks[static_cast<std::size_t>(e)];
      const std::int64_t before = e > begin[at] ? blocks[static_cast<std::size_t>(e) - 1] : -1;
      check(before < seen && seen < count, "the plan's block {} of row {} is out of range or order",
            seen, b);
      block[static_cast<std::size_t>(e)] = static_cast<std::int32_t>(seen);
    }
  }
}

}  // namespace arena
