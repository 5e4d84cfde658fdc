// Files of pairs of papers, plain, gzipped and xz'd: fields, labels, texts.

#include "tasks/format/aan_tsv.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  constexpr Index kMaxLen = 20;
  const MemoryFile file(text_of(data, size));
  read_or_refuse([&] {
    Documents documents;
    for (const AanPair& pair : read_aan_tsv(file.path(), kMaxLen, documents).pairs) {
      require(pair.label == 0 || pair.label == 1);
      for (const Index document : {pair.first, pair.second}) {
        require(document < documents.size() && !documents[document].empty());
        require(static_cast<Index>(documents[document].size()) <= kMaxLen);
      }
    }
  });
  return 0;
}
