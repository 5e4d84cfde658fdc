// Records: what was read is written in a form that reads back the same.

#include "results/record.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  read_or_refuse([&] {
    const std::string written = to_json(record_from_json(text_of(data, size), "cell.json"));
    require(to_json(record_from_json(written, "cell.json")) == written);
  });
  return 0;
}
