#pragma once
// Dropout whose mask is a function of key and position: backward makes it again, nothing is stored.

#include <array>

#include "harness/core/matrix.hpp"
#include "harness/core/random.hpp"

namespace arena {

/// Element (i, j) of a matrix of `width` columns has position p = i * width + j; positions are
/// taken 128 at a time from 16 blocks of key's stream. With e = p % 128 its random number is half
/// (e / 16) % 2 (0: low) of word e / 32 of block 16 * (p / 128) + e % 16. It is dropped where that
/// is below round(rate * 65536); the others are divided by the probability to stay.
class Dropout {
 public:
  /// rate in [0, 0.9]; 0 does nothing.
  Dropout(RandomKey key, double rate, Index width);

  bool drops() const { return threshold_ > 0; }

  // All work on rows first_row, first_row + 1, ...; the same call on the gradient is the backward
  // pass.
  void apply(Index first_row, View x) const;  // in place
  /// Both in place by one mask.
  void apply_to_both(Index first_row, View x, View y) const;
  /// y = dropout(x).
  void copy(Index first_row, ConstView x, View y) const;
  /// y = residual + dropout(x); y may be either.
  void add(Index first_row, ConstView x, ConstView residual, View y) const;

 private:
  static constexpr Index kGroup = 128;
  using Factors = std::array<float, kGroup>;

  Factors factors(Index group) const;
  /// body(row, column, count, factors) for runs of positions that share a group.
  template <class Body>
  void for_each_run(Index first_row, Index rows, const Body& body) const;

  RandomKey key_;
  std::uint32_t threshold_;
  float scale_;
  Index width_;
};

}  // namespace arena
