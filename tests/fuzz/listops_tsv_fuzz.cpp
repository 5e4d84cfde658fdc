// ListOps data files in both formats, plain and gzipped: lines, fields, expressions and labels.

#include "tasks/format/listops_tsv.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  constexpr Index kMaxLen = 40;
  const MemoryFile file(text_of(data, size));
  read_or_refuse([&] {
    for (const ListopsRow& row : read_listops_tsv(file.path(), kMaxLen).rows) {
      require(static_cast<Index>(row.tokens.size()) <= kMaxLen);
      require(row.label >= 0 && row.label <= 9);
    }
  });
  return 0;
}
