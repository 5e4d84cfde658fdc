// Citation graphs in both forms: the first byte says which; a NUL ends the first file.

#include "tasks/format/citation_graph.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arena;
  if (size == 0) return 0;
  static const CitationFacts facts{"tiny", 4, {"A", "B"}};
  const std::string text = text_of(data + 1, size - 1);
  const std::size_t end = std::min(text.find('\0'), text.size());
  const MemoryFile first(text.substr(0, end)), second(text.substr(std::min(end + 1, text.size())));
  read_or_refuse([&] {
    const CitationGraph read = data[0] % 2 == 0
                                   ? read_node_tsv(first.path(), second.path(), facts)
                                   : read_content_cites({first.path()}, {second.path()}, facts);
    const NodeGraph& graph = read.graph;
    require(graph.edges->count() == graph.size() + 2 * read.pairs);
    require(graph.features->rows() == graph.size() && graph.features->cols() == facts.words);
    for (std::size_t i = 0; i < graph.classes.size(); ++i) {
      require(graph.classes[i] >= kNotScored && graph.classes[i] < std::ssize(facts.classes));
      require(graph.classes[i] != kNotScored || !graph.splits[i]);
    }
  });
  return 0;
}
