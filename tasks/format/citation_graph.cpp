#include "tasks/format/citation_graph.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include "harness/core/hash.hpp"
#include "tasks/format/text.hpp"
#include "tasks/format/tsv.hpp"

namespace arena {
namespace {

using Pairs = std::vector<std::pair<Index, Index>>;

/// The lines of both files one after another, hashed; each must be UTF-8.
class HashedLines {
 public:
  HashedLines(const TextFile& file, std::uint64_t& hash) : reader_(file), hash_(hash) {}

  std::optional<std::string_view> next() {
    const std::optional<std::string_view> line = reader_.next();
    if (!line) return line;
    check_utf8(*line, reader_.where());
    hash_ = fnv1a("\n", fnv1a(*line, hash_));
    return line;
  }
  const std::string& path() const { return reader_.path(); }
  std::string where() const { return reader_.where(); }

 private:
  LineReader reader_;
  std::uint64_t& hash_;
};

/// The fields of a line. Throws Error unless there are so many.
std::vector<std::string_view> fields_of(std::string_view line, std::size_t count,
                                        const std::string& where, const std::string& expected) {
  std::vector<std::string_view> fields = tab_fields(line);
  check(fields.size() == count, "{}: {} fields between tabs, expected {}", where, fields.size(),
        expected);
  return fields;
}

Index number_of(std::string_view text, Index low, Index high, const std::string& where,
                const char* what) {
  Index value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && value >= low && value <= high,
        "{}: {} {}, expected {} to {}", where, what, shown(text), low, high);
  return value;
}

/// Rows of words that sum to 1, or are 0 where a paper has none.
std::shared_ptr<const Matrix> features_of(const std::vector<std::vector<Index>>& papers,
                                          Index words) {
  Matrix features = Matrix::Zero(std::ssize(papers), words);
  for (std::size_t i = 0; i < papers.size(); ++i) {
    for (const Index word : papers[i]) {
      features(static_cast<Index>(i), word) = 1 / static_cast<float>(papers[i].size());
    }
  }
  return std::make_shared<const Matrix>(std::move(features));
}

std::vector<Index> parse_words(std::string_view text, Index words, const std::string& where) {
  std::vector<Index> result;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const Index least = result.empty() ? 0 : result.back() + 1;  // ascending, so each once
    result.push_back(number_of(text.substr(0, space), least, words - 1, where, "word"));
    check(space + 1 != text.size(), "{}: a space behind the last word", where);
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return result;
}

std::optional<Split> parse_split(std::string_view text, const std::string& where) {
  if (text == "-") return std::nullopt;
  if (text == "train") return Split::kTrain;
  if (text == "val") return Split::kValidation;
  check(text == "test", "{}: split {}, expected train, val, test or -", where, shown(text));
  return Split::kTest;
}

/// Graphs that a training can use have labels in each split.
void check_splits(const NodeGraph& graph, const std::string& path) {
  for (const auto& [split, name] :
       {std::pair{Split::kTrain, "training"}, std::pair{Split::kValidation, "validation"},
        std::pair{Split::kTest, "test"}}) {
    check(std::ranges::count(graph.splits, std::optional(split)) > 0, "{}: no {} nodes", path,
          name);
  }
}

Pairs read_edges(const std::string& path, Index nodes, std::uint64_t& hash) {
  HashedLines lines({path}, hash);
  std::set<std::pair<Index, Index>> pairs;
  while (const std::optional<std::string_view> line = lines.next()) {
    const std::string where = lines.where();
    const auto fields = fields_of(*line, 2, where, "two nodes");
    const Index v = number_of(fields[1], 1, nodes - 1, where, "second node");
    const Index u = number_of(fields[0], 0, v - 1, where, "first node");
    check(pairs.emplace(u, v).second, "{}: edge {} {} stands twice", where, u, v);
  }
  check(!pairs.empty(), "{}: no edges", path);
  return {pairs.begin(), pairs.end()};
}

/// Papers of a .content file by their names.
struct Papers {
  std::vector<std::string> names;
  std::unordered_map<std::string, Index> numbers;
  std::vector<std::vector<Index>> words;
  std::vector<std::int32_t> classes;
};

Papers read_papers(const TextFile& file, const CitationFacts& facts, std::uint64_t& hash) {
  const auto words = static_cast<std::size_t>(facts.words);
  const std::string expected = fmt::format("a paper, {} words and a class", words);
  HashedLines lines(file, hash);
  Papers papers;
  while (const std::optional<std::string_view> line = lines.next()) {
    const std::string where = lines.where();
    const auto fields = fields_of(*line, words + 2, where, expected);
    check(!fields.front().empty(), "{}: a paper without a name", where);
    papers.names.emplace_back(fields.front());
    check(papers.numbers.emplace(fields.front(), std::ssize(papers.names) - 1).second,
          "{}: paper {} stands twice", where, shown(fields.front()));
    const auto known = std::ranges::find(facts.classes, fields.back());
    check(known != facts.classes.end(), "{}: class {}, expected one of {}", where,
          shown(fields.back()), fmt::join(facts.classes, ", "));
    papers.classes.push_back(static_cast<std::int32_t>(known - facts.classes.begin()));
    papers.words.emplace_back();
    for (std::size_t w = 0; w < words; ++w) {
      const std::string_view there = fields[w + 1];
      check(there == "0" || there == "1", "{}: word {} is {}, expected 0 or 1", where, w,
            shown(there));
      if (there == "1") papers.words.back().push_back(static_cast<Index>(w));
    }
  }
  check(!papers.names.empty(), "{}: no papers", lines.path());
  return papers;
}

Pairs read_cites(const TextFile& file, const Papers& papers, CitationGraph& result) {
  HashedLines lines(file, result.content_hash);
  std::set<std::pair<Index, Index>> pairs;
  double& unknown = result.left_out["citations of unknown papers, left out"];
  double& own = result.left_out["citations of oneself, left out"];
  while (const std::optional<std::string_view> line = lines.next()) {
    const auto fields = fields_of(*line, 2, lines.where(), "a cited and a citing paper");
    const auto cited = papers.numbers.find(std::string(fields[0]));
    const auto citing = papers.numbers.find(std::string(fields[1]));
    if (cited == papers.numbers.end() || citing == papers.numbers.end()) {
      ++unknown;
    } else if (cited == citing) {
      ++own;
    } else {
      pairs.insert(std::minmax(cited->second, citing->second));
    }
  }
  check(!pairs.empty(), "{}: no citation between papers of the content file", lines.path());
  return {pairs.begin(), pairs.end()};
}

/// As the header says, whatever the order of the file.
std::vector<std::optional<Split>> split_by_hash(const Papers& papers, std::size_t num_classes) {
  constexpr std::size_t kOfClass = 20, kValidation = 500, kTest = 1000;
  const std::size_t count = papers.names.size();
  const bool small = count < kOfClass * num_classes + kValidation + kTest;
  const std::size_t of_class = small ? count / (2 * num_classes) : kOfClass;
  const std::size_t validation = small ? count / 4 : kValidation;
  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  for (std::size_t i = 0; i < count; ++i) order.emplace_back(fnv1a(papers.names[i]), i);
  std::ranges::sort(order);
  std::vector<std::size_t> trained(num_classes, 0);
  std::size_t others = 0;
  std::vector<std::optional<Split>> splits(count);
  for (const auto& [hash, i] : order) {
    if (trained[static_cast<std::size_t>(papers.classes[i])]++ < of_class) {
      splits[i] = Split::kTrain;
    } else if (others++ < validation) {
      splits[i] = Split::kValidation;
    } else if (others <= validation + kTest) {
      splits[i] = Split::kTest;
    }
  }
  return splits;
}

}  // namespace

CitationGraph read_node_tsv(const std::string& nodes, const std::string& edges,
                            const CitationFacts& facts) {
  CitationGraph result{.content_hash = kFnvStart};
  NodeGraph& graph = result.graph;
  HashedLines lines({nodes}, result.content_hash);
  std::vector<std::vector<Index>> words;
  while (const std::optional<std::string_view> line = lines.next()) {
    const std::string where = lines.where();
    const auto fields = fields_of(*line, 4, where, "node, class, split, words");
    number_of(fields[0], graph.size(), graph.size(), where, "node");
    const Index label = number_of(fields[1], -1, std::ssize(facts.classes) - 1, where, "class");
    graph.classes.push_back(static_cast<std::int32_t>(label));
    graph.splits.push_back(parse_split(fields[2], where));
    check(label >= 0 || !graph.splits.back(), "{}: split {} without a class, expected -", where,
          shown(fields[2]));
    words.push_back(parse_words(fields[3], facts.words, where));
  }
  check_splits(graph, nodes);
  graph.features = features_of(words, facts.words);
  const Pairs pairs = read_edges(edges, graph.size(), result.content_hash);
  result.pairs = std::ssize(pairs);
  graph.edges = std::make_shared<const Edges>(with_self_loops(graph.size(), pairs));
  return result;
}

CitationGraph read_content_cites(const TextFile& content, const TextFile& cites,
                                 const CitationFacts& facts) {
  CitationGraph result{.content_hash = kFnvStart};
  const Papers papers = read_papers(content, facts, result.content_hash);
  NodeGraph& graph = result.graph;
  graph.classes = papers.classes;
  graph.splits = split_by_hash(papers, facts.classes.size());
  check_splits(graph, content.path);
  graph.features = features_of(papers.words, facts.words);
  const Pairs pairs = read_cites(cites, papers, result);
  result.pairs = std::ssize(pairs);
  graph.edges = std::make_shared<const Edges>(with_self_loops(graph.size(), pairs));
  return result;
}

}  // namespace arena
