#pragma once
// Citation graphs (Cora, Citeseer): papers with the words that occur in them, their class, and who
// cites whom. Two forms, each of two text files, plain, gzipped or xz'd, or members of a tar
// archive.

#include <map>
#include <string>
#include <vector>

#include "tasks/format/tsv.hpp"
#include "tasks/graph/node_graph.hpp"

namespace arena {

/// What a data set says about itself.
struct CitationFacts {
  std::string name;                  // "cora"
  Index words = 0;                   // of the vocabulary
  std::vector<std::string> classes;  // as .content files spell them
};

struct CitationGraph {
  NodeGraph graph{};                         // features: 1 / number of words, where a word occurs
  Index pairs = 0;                           // of different papers of which one cites the other
  std::uint64_t content_hash = 0;            // of all lines of both files
  std::map<std::string, double> left_out{};  // lines, by why
};

/// nodes: lines node<TAB>class<TAB>split<TAB>words; nodes count from 0, classes too (-1: not known,
/// then the split is -), splits are train, val, test and -, words ascending numbers between spaces.
/// edges: lines u<TAB>v, u < v, each once. Throws Error naming file, line and what was expected.
CitationGraph read_node_tsv(const std::string& nodes, const std::string& edges,
                            const CitationFacts& facts);

/// LINQS' files. content: lines paper<TAB>0 or 1 for each word<TAB>class; cites: lines
/// cited<TAB>citing, where citations of unknown papers and of oneself are left out and counted.
/// They have no splits: of each class the 20 papers whose names have the smallest hashes are for
/// training, of all others the next 500 for validation and the next 1,000 (at most) for the test;
/// of fewer than 20 for each class and 1,500 papers a half is for training, a quarter for
/// validation. Throws Error naming file, line and what was expected.
CitationGraph read_content_cites(const TextFile& content, const TextFile& cites,
                                 const CitationFacts& facts);

}  // namespace arena
