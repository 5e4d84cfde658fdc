// Archives of film reviews: names, ratings, texts.

#include "tasks/format/imdb.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  const MemoryFile file(text_of(data, size));
  read_or_refuse([&] {
    const ImdbData reviews = read_imdb(file.path());
    for (const auto* part : {&reviews.train, &reviews.test}) {
      for (const ImdbReview& review : *part) {
        require(!review.text.empty() && (review.label == 0 || review.label == 1));
      }
    }
  });
  return 0;
}
