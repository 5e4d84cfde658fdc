#pragma once
// Dropout whose mask is a function of key and position: backward makes it again, nothing is stored.

#include "harness/core/matrix.hpp"
#include "harness/core/random.hpp"

namespace arena {

/// Element (i, j) of row first_row + i is dropped where the 16-bit half-word j % 8 of block
/// (first_row + i) * ceil(cols / 8) + j / 8 of key's stream is below round(rate * 65536); the
/// others are divided by the probability to stay. Eight elements cost one block of random numbers.
class Dropout {
 public:
  /// rate in [0, 0.9]; 0 does nothing. `width`: columns of the matrices it is applied to.
  Dropout(RandomKey key, double rate, Index width);

  /// x [rows, width] in place; the same call on the gradient is the backward pass.
  void apply(Index first_row, View x) const;

 private:
  RandomKey key_;
  std::uint32_t threshold_;
  float scale_;
  Index blocks_per_row_;
};

}  // namespace arena
