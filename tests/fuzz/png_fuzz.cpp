// Gray PNG files.

#include <array>

#include "tasks/format/png.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  constexpr Index kSide = 32;
  std::array<std::uint8_t, kSide * kSide> pixels{};
  read_or_refuse([&] { read_gray_png(text_of(data, size), "input", kSide, pixels); });
  return 0;
}
