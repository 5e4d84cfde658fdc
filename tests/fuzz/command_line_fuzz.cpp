// The command line: one word to a line. What is parsed is not done; what its values mean is asked
// of the functions that the commands ask.

#include <memory>
#include <sstream>

#include "harness/cli/arguments.hpp"
#include "harness/cli/bench_arguments.hpp"
#include "harness/cli/command_line.hpp"
#include "harness/cli/settings.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace arena;

constexpr std::size_t kMostWords = 32;
/// A parser remembers the options of all that it has parsed.
constexpr int kMostLines = 10'000;
/// Longer lists times each other are only slow.
constexpr std::size_t kLongestList = 64;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream lines(text);
  for (std::string word; words.size() < kMostWords && std::getline(lines, word);) {
    words.push_back(word.substr(0, word.find('\0')));  // as the system hands them over
  }
  return words;
}

void parse_all(const std::vector<std::string>& words) {
  // Options take ten times as long to make as to parse, and parsing reads nothing that words before
  // have set.
  static std::unique_ptr<CommandLine> line;
  static int lines = 0;
  if (lines++ % kMostLines == 0) line = std::make_unique<CommandLine>();
  std::vector<const char*> argv{"arena"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  read_or_refuse([&] { require(bool{line->parse(static_cast<int>(argv.size()), argv.data())}); });
}

void parse_values(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    read_or_refuse([&] { parse_seeds(word); });
    read_or_refuse([&] { require(word.empty() || parse_bytes(word) > 0); });
  }
  TrainTable table{.variants = {"linformer", "local[window=4]"}, .tasks = {"recall", "listops"}};
  read_or_refuse([&] { apply_settings(words, table); });
}

void parse_timings(const std::vector<std::string>& words) {
  const auto word = [&](std::size_t i, const char* otherwise) {
    return i < words.size() && words[i].size() < kLongestList ? words[i] : std::string(otherwise);
  };
  BenchArguments arguments;
  arguments.variants = word(0, ""), arguments.lengths = word(1, "64");
  arguments.pass = word(2, "forward"), arguments.scope = word(3, "kernel");
  arguments.threads = word(4, "1"), arguments.task = word(5, "");
  read_or_refuse([&] { require(!groups_of(arguments).empty()); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::string> words = words_of(text_of(data, size));
  parse_all(words);
  parse_values(words);
  parse_timings(words);
  return 0;
}
