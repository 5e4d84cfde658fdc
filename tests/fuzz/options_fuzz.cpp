// What a command line can name: NAME[key=value,...] of variants and tasks, settings, lengths.

#include "harness/sweep/preset.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  const std::string text = text_of(data, size);
  read_or_refuse([&] { parse_named(text); });
  read_or_refuse([&] { check_variant_text("", text); });
  read_or_refuse([&] { check_task_text("preset.toml:1", text); });
  read_or_refuse([&] {
    for (const Index length : parse_lengths(text)) require(length > 0);
  });
  const std::size_t equals = std::min(text.find('='), text.size());
  read_or_refuse([&] { check_setting("", text.substr(0, equals), text.substr(equals)); });
  return 0;
}
