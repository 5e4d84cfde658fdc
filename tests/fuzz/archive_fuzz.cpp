// Tar archives, plain, gzipped and xz'd: no member that is given leads out or is too large.

#include "tasks/format/archive.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  constexpr std::size_t kLargest = 600;
  const MemoryFile file(text_of(data, size));
  read_or_refuse([&] {
    MemberReader reader(file.path(), {.bytes = kLargest, .wanted = [](std::string_view name) {
                                        return !name.ends_with(".html");
                                      }});
    while (const auto member = reader.next()) {
      require(member->content.size() <= kLargest);
      require(!member->name.starts_with('/') && !member->name.starts_with("../"));
    }
  });
  return 0;
}
