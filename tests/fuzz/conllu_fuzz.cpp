// Treebanks, plain, gzipped and xz'd: ids, parts of speech, ends of sentences.

#include "tasks/format/conllu.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  const MemoryFile file(text_of(data, size));
  read_or_refuse([&] {
    const ConlluFile read = read_conllu(file.path());
    Index words = 0;
    for (const TaggedSentence& sentence : read.sentences) {
      require(!sentence.empty());
      for (const TaggedWord& word : sentence) {
        require(!word.form.empty() && word.tag >= 0);
        require(static_cast<std::size_t>(word.tag) < kPartsOfSpeech.size());
      }
      words += static_cast<Index>(sentence.size());
    }
    require(words == read.words && words > 0);
  });
  return 0;
}
