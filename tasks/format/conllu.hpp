#pragma once
// CoNLL-U, the format of Universal Dependencies: sentences of words with their parts of speech.
//
//   # text = Don't.                                  any number of comments before a sentence
//   1-2   Don't  _   _     _  _  _  _  _  _          a multi-word token: not a word
//   1     Do     do  AUX   .. (10 fields between tabs: id, form, lemma, UPOS, ...)
//   2     n't    not PART  ..
//   2.1   leave  _   _     ..                        an empty node: not a word
//   3     .      .   PUNCT ..
//                                                    an empty line behind each sentence

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

/// The universal parts of speech; a tag is a place in this list.
constexpr std::array<std::string_view, 17> kPartsOfSpeech{
    "ADJ",  "ADP",  "ADV",   "AUX",   "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"};

struct TaggedWord {
  std::string form;
  std::int32_t tag = 0;
};
using TaggedSentence = std::vector<TaggedWord>;

struct ConlluFile {
  std::vector<TaggedSentence> sentences{};
  Index words = 0;                 // of all sentences
  Index multi_word_tokens = 0;     // checked and left out
  Index empty_nodes = 0;           // checked and left out
  std::uint64_t content_hash = 0;  // of all words and tags
};

/// Reads a whole file, plain, gzipped or xz'd. Throws Error with Failure::kNoData where there is no
/// file, and one naming file, line and what was expected on anything but the format above: another
/// number of fields, ids that do not count 1, 2, 3, .., an unknown part of speech, an empty form,
/// text that is not UTF-8, a comment inside of a sentence, a last sentence that does not end.
ConlluFile read_conllu(const std::string& path);

}  // namespace arena
