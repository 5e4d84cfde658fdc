// tagging: the part of speech of every word of a sentence. Real text: English Web Treebank
// (Silveira et al. 2014) of Universal Dependencies, in its official splits.
//
//   form=words   a token is a word of the training split that stands there at least min_count
//                times, most frequent first; id 0 stands for all others. Every position is scored.
//   form=bytes   a token is a byte of the words with a space between them; a word's label stands
//                at its last byte, other positions are not scored.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "harness/core/hash.hpp"
#include "tasks/dataset.hpp"
#include "tasks/format/conllu.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/format/labelled_set.hpp"
#include "tasks/format/text.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

constexpr Index kBytes = 256;
constexpr auto kTags = kPartsOfSpeech.size();

const WantedParts kWanted{
    .task = "tagging",
    .folders = {"", "pos/", "UD_English-EWT/"},
    .files = {"en_ewt-ud-train.conllu*", "en_ewt-ud-dev.conllu*", "en_ewt-ud-test.conllu*"},
    .how_to_get = "`arena data get ewt` fetches them"};

/// A file of the treebank, of one commit.
RemoteFile treebank_file(const std::string& part, std::int64_t bytes, const std::string& sha256) {
  const std::string name = fmt::format("en_ewt-ud-{}.conllu", part);
  return {.place = "UD_English-EWT/" + name,
          .url =
              "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/"
              "15d613d8447b3478787d4c278730a1e48a945efb/" +
              name,
          .bytes = bytes,
          .sha256 = sha256};
}

const Register<Dataset> kEnglishWebTreebank{
    {.name = "ewt",
     .summary = "Universal Dependencies, English Web Treebank: 16,622 sentences with their tags",
     .licence = "CC BY-SA 4.0",
     .files = {treebank_file("train", 14203025,
                             "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b"),
               treebank_file("dev", 1805545,
                             "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6"),
               treebank_file("test", 1804515,
                             "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd")},
     .tasks = {"tagging"}}};

using TagCounts = std::array<Index, kTags>;

std::int32_t most_frequent(const TagCounts& counts) {
  return static_cast<std::int32_t>(std::ranges::max_element(counts) - counts.begin());
}

/// Words that stand at least `min_count` times in `sentences` have ids from 1 on.
class Vocabulary {
 public:
  static constexpr std::int32_t kUnknown = 0;

  Vocabulary(const std::vector<TaggedSentence>& sentences, Index min_count) {
    std::map<std::string, Index> counts;
    for (const TaggedSentence& sentence : sentences) {
      for (const TaggedWord& word : sentence) ++counts[word.form];
    }
    for (const auto& [word, count] : counts) {
      if (count >= min_count) words_.push_back(word);
    }
    std::ranges::stable_sort(words_, std::greater{},
                             [&](const std::string& word) { return counts.at(word); });
    for (const std::string& word : words_) {
      ids_.emplace(word, static_cast<std::int32_t>(ids_.size()) + 1);
    }
  }

  Index size() const { return static_cast<Index>(words_.size()) + 1; }
  std::int32_t id(const std::string& word) const {
    const auto found = ids_.find(word);
    return found == ids_.end() ? kUnknown : found->second;
  }
  std::string word(std::int32_t id) const {
    return id == kUnknown ? "<unknown>" : words_[static_cast<std::size_t>(id) - 1];
  }

 private:
  std::vector<std::string> words_{};
  std::unordered_map<std::string, std::int32_t> ids_{};
};

Index bytes_of(const TaggedSentence& sentence) {
  Index bytes = -1;  // there is no space behind the last word
  for (const TaggedWord& word : sentence) bytes += static_cast<Index>(word.form.size()) + 1;
  return bytes;
}

class Tagging final : public Task {
 public:
  Tagging(const TaskSetup& setup, const Options& options)
      : bytes_(options.text("form") == "bytes"), content_hash_(kFnvStart) {
    paths_ = find_parts(setup.data_dir, kWanted);
    std::array<PartCount, 3> counts{{{"training sentences", 0, 12544},
                                     {"validation sentences", 0, 2001},
                                     {"test sentences", 0, 2077}}};
    for (std::size_t p = 0; p < counts.size(); ++p) {
      parts_[p] = read_conllu(paths_[p]);
      content_hash_ = fnv1a(fmt::format("{:016x}", parts_[p].content_hash), content_hash_);
      counts[p].found = static_cast<Index>(parts_[p].sentences.size());
      for (const TaggedSentence& sentence : parts_[p].sentences) {
        const Index length = bytes_ ? bytes_of(sentence) : static_cast<Index>(sentence.size());
        max_len_ = std::max(max_len_, length);
      }
    }
    partial_ = is_subset("tagging", paths_[0], counts, options.on("partial"));
    vocabulary_ = Vocabulary(part(Split::kTrain).sentences, options.integer("min_count"));
  }

  Answer answer() const override { return Answer::kPositionLabels; }
  Index vocab_size() const override { return bytes_ ? kBytes : vocabulary_.size(); }
  Index num_classes() const override { return static_cast<Index>(kTags); }
  Index max_len() const override { return max_len_; }
  Index size(Split split) const override {
    return static_cast<Index>(part(split).sentences.size());
  }
  Sample sample(Split split, Index index) const override;
  std::string dataset_hash() const override { return fmt::format("{:016x}", content_hash_); }
  std::vector<Baseline> baselines() const override;
  std::map<std::string, double> counts() const override;
  std::string describe(const Sample& sample) const override;
  bool partial() const override { return partial_; }
  std::vector<std::string> places() const override { return {paths_.begin(), paths_.end()}; }

 private:
  const ConlluFile& part(Split split) const { return parts_[static_cast<std::size_t>(split)]; }
  Index unknown_words(Split split) const;

  bool bytes_;
  std::array<std::string, 3> paths_{};
  std::array<ConlluFile, 3> parts_{};
  Vocabulary vocabulary_{{}, 1};
  Index max_len_ = 0;
  std::uint64_t content_hash_;
  bool partial_ = false;
};

Sample Tagging::sample(Split split, Index index) const {
  Sample sample;
  for (const TaggedWord& word : part(split).sentences[static_cast<std::size_t>(index)]) {
    if (bytes_) {
      if (!sample.tokens.empty()) sample.tokens.push_back(' ');
      const std::vector<std::int32_t> bytes = byte_tokens(word.form, word.form.size());
      sample.tokens.insert(sample.tokens.end(), bytes.begin(), bytes.end());
      sample.labels.resize(sample.tokens.size(), kNotScored);
      sample.labels.back() = word.tag;
    } else {
      sample.tokens.push_back(vocabulary_.id(word.form));
      sample.labels.push_back(word.tag);
    }
  }
  return sample;
}

/// The best constant, and for each word its most frequent tag in the training split (for a word
/// that is not there, the most frequent one of all): what can be had without any context.
std::vector<Baseline> Tagging::baselines() const {
  std::map<std::string, TagCounts> of_word;
  TagCounts trained{};
  for (const TaggedSentence& sentence : part(Split::kTrain).sentences) {
    for (const TaggedWord& word : sentence) {
      ++of_word[word.form][static_cast<std::size_t>(word.tag)];
      ++trained[static_cast<std::size_t>(word.tag)];
    }
  }
  TagCounts tested{};
  Index right = 0;
  for (const TaggedSentence& sentence : part(Split::kTest).sentences) {
    for (const TaggedWord& word : sentence) {
      const auto known = of_word.find(word.form);
      const TagCounts& seen = known == of_word.end() ? trained : known->second;
      right += most_frequent(seen) == word.tag ? 1 : 0;
      ++tested[static_cast<std::size_t>(word.tag)];
    }
  }
  const auto words = static_cast<double>(part(Split::kTest).words);
  return {{"majority", static_cast<double>(std::ranges::max(tested)) / words},
          {"most frequent tag of each word", static_cast<double>(right) / words}};
}

Index Tagging::unknown_words(Split split) const {
  Index unknown = 0;
  for (const TaggedSentence& sentence : part(split).sentences) {
    unknown += std::ranges::count_if(sentence, [&](const TaggedWord& word) {
      return vocabulary_.id(word.form) == Vocabulary::kUnknown;
    });
  }
  return unknown;
}

std::map<std::string, double> Tagging::counts() const {
  std::map<std::string, double> all;
  for (const auto& [split, name] : {std::pair(Split::kTrain, "training"),
                                    {Split::kValidation, "validation"},
                                    {Split::kTest, "test"}}) {
    all[fmt::format("{} words", name)] = static_cast<double>(part(split).words);
    if (bytes_) continue;
    all[fmt::format("{} words that are unknown", name)] = static_cast<double>(unknown_words(split));
  }
  for (const ConlluFile& file : parts_) {
    all["multi-word tokens, left out"] += static_cast<double>(file.multi_word_tokens);
    all["empty nodes, left out"] += static_cast<double>(file.empty_nodes);
  }
  return all;
}

/// "the/DET cat/NOUN sleeps/VERB".
std::string Tagging::describe(const Sample& sample) const {
  constexpr std::size_t kFewLines = 1000;
  std::string text;
  for (std::size_t i = 0; i < sample.tokens.size() && text.size() < kFewLines; ++i) {
    if (bytes_) {
      text += static_cast<char>(sample.tokens[i]);
    } else {
      text += (i == 0 ? "" : " ") + vocabulary_.word(sample.tokens[i]);
    }
    if (sample.labels[i] == kNotScored) continue;
    text += fmt::format("/{}", kPartsOfSpeech[static_cast<std::size_t>(sample.labels[i])]);
  }
  return text;
}

const Register<TaskInfo> kTagging{{
    .name = "tagging",
    .summary = "which part of speech is each word of a sentence?",
    .answer = Answer::kPositionLabels,
    .source = "Universal Dependencies, English Web Treebank; Silveira et al., 2014",
    .options = {choice_option("form", "words", {"words", "bytes"}, "what a token is"),
                integer_option("min_count", 2, 1, 1000,
                               "form=words: rarer words of the training split are unknown"),
                partial_option()},
    .make = [](const TaskSetup& setup,
               const Options& options) { return std::make_unique<Tagging>(setup, options); },
    .label_option = "form",
}};

}  // namespace
}  // namespace arena
