#pragma once
// Rows that are needed next, fetched into the second-level cache while products are made: a line
// at a time, as their weft, because a core stalls when many are under way together.

#include <array>

#include "harness/layers/micro_kernel.hpp"

namespace arena {

class RowsAhead {
 public:
  /// Forgets what was not fetched in time.
  void clear() { *this = {}; }
  /// At most kMost matrices; more are not fetched.
  void add(const ConstView& rows) {
    if (rows.empty() || count_ == kMost) return;
    const Waiting& added = waiting_[static_cast<std::size_t>(count_++)] = waiting_of(rows);
    lines_ += added.count * ((added.cols + kLine - 1) / kLine);
  }
  /// Over so many steps of a product: where there are more lines, others should help.
  void spread(Index steps) { hurries_ = lines_ > steps; }
  bool hurries() const { return hurries_; }

  /// The next line; null after the last.
  ARENA_INLINE const float* next_line() {
    if (line_ >= end_ && !turn()) return nullptr;
    const float* const line = line_;
    line_ += kLine;
    return line;
  }
  ARENA_INLINE void one() {
    if (const float* const line = next_line()) __builtin_prefetch(line, 0, 2);
  }
  /// As the weft of a product, where registers leave room for it.
  ARENA_INLINE auto weft() {
    return [this](auto) ARENA_INLINE_LAMBDA {
      if constexpr (simd::kManyRegisters) one();
    };
  }
  /// Elsewhere gcc 12 spills a part of the tile at each step: some lines after each tile.
  ARENA_INLINE void after_tile() {
    if constexpr (simd::kManyRegisters) return;
    constexpr int kLines = 16;
    for (int i = 0; i < kLines; ++i) one();
  }
  void all() {
    while (const float* const line = next_line()) __builtin_prefetch(line, 0, 2);
  }

 private:
  static constexpr Index kMost = 8, kLine = 64 / sizeof(float);
  struct Waiting {
    const float* row;
    Index stride, cols, count;
  };
  static Waiting waiting_of(const ConstView& rows) {
    // without a turn at each row
    if (rows.outerStride() == rows.cols()) return {rows.data(), 0, rows.size(), 1};
    return {rows.data(), rows.outerStride(), rows.cols(), rows.rows()};
  }

  /// To the next row.
  bool turn() {
    if (next_ == count_) return false;
    Waiting& now = waiting_[static_cast<std::size_t>(next_)];
    line_ = now.row;
    end_ = now.row + now.cols;
    now.row += now.stride;
    if (--now.count == 0) ++next_;
    return true;
  }

  const float *line_ = nullptr, *end_ = nullptr;  // of the row under way
  std::array<Waiting, kMost> waiting_;
  Index next_ = 0, count_ = 0, lines_ = 0;
  bool hurries_ = false;
};

/// Another weft, and a line after every second step.
template <class Weft>
struct WithRowsAhead {
  Weft weft;
  RowsAhead* ahead;

  template <class Step>
  ARENA_INLINE void operator()(Step step) {
    weft(step);
    if constexpr (step % 2 == 0) ahead->one();
  }
};

}  // namespace arena
