#include "tasks/format/conllu.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "harness/core/check.hpp"
#include "harness/core/hash.hpp"
#include "tasks/format/text.hpp"
#include "tasks/format/tsv.hpp"

namespace arena {
namespace {

constexpr std::size_t kFields = 10;
constexpr std::size_t kForm = 1;
constexpr std::size_t kPartOfSpeech = 3;

/// The number that the whole of `text` writes, without sign or leading zero; -1 where it is none.
Index number_of(std::string_view text) {
  Index number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool plain = text == "0" || (!text.empty() && text[0] != '0' && text[0] != '-');
  return error == std::errc() && end == text.data() + text.size() && plain ? number : -1;
}

std::int32_t tag_of(std::string_view name, const std::string& where) {
  const auto found = std::ranges::find(kPartsOfSpeech, name);
  check(found != kPartsOfSpeech.end(), "{}, field 4: part of speech {}, expected one of {}", where,
        shown(name), fmt::join(kPartsOfSpeech, " "));
  return static_cast<std::int32_t>(found - kPartsOfSpeech.begin());
}

/// Reads sentence after sentence into a file's content.
class Parser {
 public:
  explicit Parser(const std::string& path) : reader_(path) { file_.content_hash = kFnvStart; }

  ConlluFile parse() {
    while (const std::optional<std::string_view> line = reader_.next()) {
      check_utf8(*line, reader_.where());
      if (line->empty()) {
        end_sentence();
      } else if (line->starts_with('#')) {
        check(!inside_, "{}: a comment inside of a sentence, expected a word or an empty line",
              reader_.where());
      } else {
        read_token(tab_fields(*line));
      }
    }
    check(!inside_, "{}: the last sentence does not end with an empty line", reader_.where());
    check(!file_.sentences.empty(), "{}: no sentence", reader_.path());
    return std::move(file_);
  }

 private:
  void read_token(const std::vector<std::string_view>& fields) {
    check(fields.size() == kFields, "{}: {} fields between tabs, expected {}", reader_.where(),
          fields.size(), kFields);
    check(!fields[kForm].empty(), "{}, field 2: an empty form", reader_.where());
    inside_ = true;
    const std::string_view id = fields[0];
    if (const std::size_t dash = id.find('-'); dash != std::string_view::npos) {
      read_multi_word(id, number_of(id.substr(0, dash)), number_of(id.substr(dash + 1)));
    } else if (const std::size_t point = id.find('.'); point != std::string_view::npos) {
      read_empty_node(id, number_of(id.substr(0, point)), number_of(id.substr(point + 1)));
    } else {
      read_word(fields);
    }
  }

  void read_word(const std::vector<std::string_view>& fields) {
    check(number_of(fields[0]) == words() + 1, "{}: word id {}, expected {}", reader_.where(),
          shown(fields[0]), words() + 1);
    sentence_.push_back({.form = std::string(fields[kForm]),
                         .tag = tag_of(fields[kPartOfSpeech], reader_.where())});
    empty_nodes_here_ = 0;
  }

  /// n-m stands in front of the first of its words, and no two of them overlap.
  void read_multi_word(std::string_view id, Index first, Index last) {
    check(first == words() + 1 && first > covered_ && last > first,
          "{}: multi-word id {}, expected {}-m with m above {}, and behind word {}",
          reader_.where(), shown(id), words() + 1, words() + 1, covered_);
    covered_ = last;
    ++file_.multi_word_tokens;
  }

  /// n.1, n.2, .. stand behind word n.
  void read_empty_node(std::string_view id, Index word, Index number) {
    check(word == words() && number == empty_nodes_here_ + 1, "{}: empty node {}, expected {}.{}",
          reader_.where(), shown(id), words(), empty_nodes_here_ + 1);
    ++empty_nodes_here_;
    ++file_.empty_nodes;
  }

  void end_sentence() {
    check(words() > 0, "{}: the end of a sentence without words", reader_.where());
    check(covered_ <= words(), "{}: the sentence ends at word {}, its multi-word token at {}",
          reader_.where(), words(), covered_);
    for (const TaggedWord& word : sentence_) {
      file_.content_hash = fnv1a(word.form, file_.content_hash);
      file_.content_hash =
          fnv1a(fmt::format("\t{}\n", kPartsOfSpeech[static_cast<std::size_t>(word.tag)]),
                file_.content_hash);
    }
    file_.content_hash = fnv1a("\n", file_.content_hash);
    file_.words += words();
    file_.sentences.push_back(std::move(sentence_));
    sentence_.clear();
    inside_ = false;
    covered_ = empty_nodes_here_ = 0;
  }

  Index words() const { return static_cast<Index>(sentence_.size()); }

  LineReader reader_;
  ConlluFile file_{};
  TaggedSentence sentence_{};   // that is being read
  bool inside_ = false;         // a token of it was read
  Index covered_ = 0;           // last word of its last multi-word token
  Index empty_nodes_here_ = 0;  // behind its last word
};

}  // namespace

ConlluFile read_conllu(const std::string& path) {
  return Parser(path).parse();
}

}  // namespace arena
