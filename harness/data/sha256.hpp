#pragma once
// SHA-256 (FIPS 180-4): the checksum by which data sets are known.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace arena {

class Sha256 {
 public:
  void update(std::string_view bytes);
  /// 64 hex digits of all that was given; afterwards the object is used up.
  std::string finish();

 private:
  using Block = std::array<std::uint8_t, 64>;

  void take_block();

  std::array<std::uint32_t, 8> state_{0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
  Block block_{};
  std::size_t filled_ = 0;    // bytes of the block
  std::uint64_t length_ = 0;  // bytes in all
};

/// Of a whole file. Throws Error naming it where it cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace arena
