// Pathfinder metadata, as text and as NumPy arrays of strings.

#include <algorithm>

#include "tasks/pathfinder/metadata.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  read_or_refuse([&] {
    for (const PathfinderRow& row : parse_pathfinder_metadata(text_of(data, size), "input", 14)) {
      require(row.label == 0 || row.label == 1);
      require(std::ranges::count(row.image, '/') == 2 && row.image.front() != '/');
      require(row.image.find("/.") == std::string::npos && row.image.front() != '.');
    }
  });
  return 0;
}
