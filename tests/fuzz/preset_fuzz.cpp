// Presets in TOML, with the variants, tasks and settings they name.

#include "harness/sweep/preset.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  read_or_refuse([&] {
    const Preset preset = read_preset(text_of(data, size), "fuzz", "fuzz.toml");
    require(!preset.train.empty() || !preset.bench.empty());
  });
  return 0;
}
