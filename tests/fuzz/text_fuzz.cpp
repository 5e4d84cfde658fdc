// Text of any bytes: what is let through as UTF-8 is so to its end, and what is shown is one line.

#include "tasks/format/text.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  const std::string text = text_of(data, size);
  read_or_refuse([&] {
    check_utf8(text, "text");
    check_utf8(text + text, "twice");
    check_utf8(excerpt(byte_tokens(text, text.size())), "excerpt");
  });
  require(shown(text).find('\n') == std::string::npos);
  require(stripped(stripped(text)) == stripped(text));
  return 0;
}
