// Treebank files and the task made of them.

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "small_data.hpp"
#include "tasks/format/conllu.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

std::unique_ptr<Task> make_tagging(const std::string& data_dir, const OptionTexts& options) {
  const TaskInfo& info = Registry<TaskInfo>::find("tagging");
  return info.make({.data_dir = data_dir}, Options("tagging", info.options, options));
}

std::string token(const std::string& id, const std::string& form, const std::string& tag) {
  return id + "\t" + form + "\t_\t" + tag + "\t_\t_\t_\t_\t_\t_\n";
}

const std::string kTwoSentences =
    "# newdoc\n# text = Don't.\n" + token("1-2", "Don't", "_") + token("1", "Do", "AUX") +
    token("2", "n't", "PART") + token("2.1", "leave", "_") + token("2.2", "now", "ADV") +
    token("3", ".", "PUNCT") + "\n" + token("0.1", "He", "_") + token("1", "caf\xC3\xA9", "NOUN") +
    token("2-3", "#5", "_") + token("2", "#", "SYM") + token("3", "5 000", "NUM") + "\n";

class PackedTreebank : public testing::TestWithParam<Packing> {};
INSTANTIATE_TEST_SUITE_P(Conllu, PackedTreebank,
                         testing::Values(Packing::kPlain, Packing::kGzip, Packing::kXz));

TEST_P(PackedTreebank, WordsAreReadAndOtherTokensCounted) {
  const ConlluFile file = read_conllu(DataFile(kTwoSentences, GetParam()).path());
  ASSERT_EQ(file.sentences.size(), 2U);
  std::string words;
  for (const TaggedSentence& sentence : file.sentences) {
    for (const TaggedWord& word : sentence) {
      words += word.form + "/";
      words += kPartsOfSpeech[static_cast<std::size_t>(word.tag)];
      words += " ";
    }
  }
  EXPECT_EQ(words, "Do/AUX n't/PART ./PUNCT caf\xC3\xA9/NOUN #/SYM 5 000/NUM ");
  EXPECT_EQ(file.words, 6);
  EXPECT_EQ(file.multi_word_tokens, 2);
  EXPECT_EQ(file.empty_nodes, 3);
}

TEST(Conllu, ContentHashTellsWordsTagsAndSentencesApart) {
  const auto hash = [](const std::string& text) {
    return read_conllu(DataFile(text).path()).content_hash;
  };
  const std::string two = token("1", "a", "DET") + token("2", "b", "X") + "\n";
  EXPECT_EQ(hash(two), hash("# a comment\r\n" + token("1", "a", "DET") + token("1.1", "c", "_") +
                            token("2", "b", "X") + "\n"));
  EXPECT_NE(hash(two), hash(token("1", "a", "DET") + token("2", "c", "X") + "\n"));
  EXPECT_NE(hash(two), hash(token("1", "a", "DET") + token("2", "b", "SYM") + "\n"));
  EXPECT_NE(hash(two), hash(token("1", "a", "DET") + "\n" + token("1", "b", "X") + "\n"));
}

/// A sentence is refused whose second line is `line`: `message` follows "FILE:3".
void expect_refused(const std::string& line, const std::string& message) {
  const DataFile file("# comment\n" + token("1", "a", "DET") + line + token("2", "b", "X") + "\n");
  EXPECT_ERROR(read_conllu(file.path()), file.path() + ":3" + message) << line;
}

TEST(Conllu, BadLinesAreRefusedNamingTheLine) {
  expect_refused("2\tb\t_\tX\n", ": 4 fields between tabs, expected 10");
  expect_refused("2\tb\t_\tX\t_\t_\t_\t_\t_\t_\t_\n", ": 11 fields between tabs, expected 10");
  expect_refused(token("2", "", "X"), ", field 2: an empty form");
  expect_refused(token("2", "caf\xE9", "X"), ": byte 6 is not UTF-8: '\\xe9\\x09_\\x09'");
  expect_refused(token("2", "b", "NN"), ", field 4: part of speech 'NN', expected one of ADJ ADP");
  expect_refused(token("2", "b", "_"), ", field 4: part of speech '_', expected");
  expect_refused("# comment\n", ": a comment inside of a sentence");
  for (const char* id :
       {"1", "3", "0", "02", "-2", "+2", " 2", "2 ", "", "x", "2a", "99999999999999999999"}) {
    const std::string text = token(id, "b", "X");
    expect_refused(text, text[0] == '-' ? ": multi-word id '-2', expected 2-m" : ": word id '");
  }
  for (const char* id : {"1-2", "3-4", "2-2", "2-1", "2-", "2-x", "2-3-4"}) {
    expect_refused(token(id, "b", "_"), ": multi-word id '" + std::string(id) + "', expected 2-m");
  }
  for (const char* id : {"0.1", "2.1", "1.2", "1.0", "1.", ".1", "1.01", "1.1.1"}) {
    expect_refused(token(id, "b", "_"), ": empty node '" + std::string(id) + "', expected 1.1");
  }
}

TEST(Conllu, BadSentencesAreRefused) {
  const auto refused = [](const std::string& text, const std::string& message) {
    const DataFile file(text);
    EXPECT_ERROR(read_conllu(file.path()), file.path() + message) << text;
  };
  const std::string word = token("1", "a", "DET");
  refused("", ": no sentence");
  refused("# only a comment\n", ": no sentence");
  refused(word, ":1: the last sentence does not end with an empty line");
  refused(word.substr(0, 9), ":1: 4 fields between tabs, expected 10");
  refused(word + "\n\n", ":3: the end of a sentence without words");
  refused("# comment\n\n", ":2: the end of a sentence without words");
  refused(token("0.1", "a", "_") + "\n", ":2: the end of a sentence without words");
  refused(token("1-3", "a", "_") + word + "\n",
          ":3: the sentence ends at word 1, its multi-word token at 3");
  refused(token("1-3", "a", "_") + word + token("2-4", "b", "_"), ":3: multi-word id '2-4'");
}

/// Three parts below `folder`, each of one sentence.
void write_parts(const std::string& folder, const std::string& train, const std::string& test) {
  write_file(folder + "/en_ewt-ud-train.conllu", train + "\n");
  write_file(folder + "/en_ewt-ud-dev.conllu.gz", token("1", "a", "DET") + "\n", Packing::kGzip);
  write_file(folder + "/en_ewt-ud-test.conllu", test + "\n");
}

const std::string kTrained = token("1", "run", "VERB") + token("2", "run", "NOUN") +
                             token("3", "run", "NOUN") + token("4", "once", "ADV") +
                             token("5", "a", "DET") + token("6", "a", "DET");
const std::string kTested = token("1", "a", "DET") + token("2", "run", "VERB") +
                            token("3", "once", "ADV") + token("4", "caf\xC3\xA9", "NOUN");

TEST(Tagging, WordsHaveIdsByFrequencyAndRareOnesAreUnknown) {
  const TemporaryFolder folder;
  write_parts(folder.path() + "/pos", kTrained, kTested);
  const auto task = make_tagging(folder.path(), {{"partial", "true"}});
  EXPECT_EQ(task->vocab_size(), 3);
  EXPECT_EQ(task->num_classes(), 17);
  EXPECT_EQ(task->max_len(), 6);
  EXPECT_TRUE(task->partial());
  const Sample trained = task->sample(Split::kTrain, 0);
  EXPECT_EQ(trained.tokens, (std::vector<std::int32_t>{1, 1, 1, 0, 2, 2}));
  EXPECT_EQ(trained.labels, (std::vector<std::int32_t>{15, 7, 7, 2, 5, 5}));
  const Sample tested = task->sample(Split::kTest, 0);
  EXPECT_EQ(tested.tokens, (std::vector<std::int32_t>{2, 1, 0, 0}));
  EXPECT_EQ(task->describe(tested), "a/DET run/VERB <unknown>/ADV <unknown>/NOUN");
  EXPECT_EQ(task->counts().at("test words that are unknown"), 2);
  EXPECT_EQ(task->counts().at("training words that are unknown"), 1);
  const auto all = make_tagging(folder.path(), {{"partial", "true"}, {"min_count", "1"}});
  EXPECT_EQ(all->vocab_size(), 4);
  EXPECT_EQ(all->sample(Split::kTest, 0).tokens, (std::vector<std::int32_t>{2, 1, 3, 0}));
}

TEST(Tagging, ALabelStandsAtTheLastByteOfItsWord) {
  const TemporaryFolder folder;
  write_parts(folder.path(), kTrained, kTested);
  const auto task = make_tagging(folder.path(), {{"partial", "true"}, {"form", "bytes"}});
  EXPECT_EQ(task->vocab_size(), 256);
  EXPECT_EQ(task->max_len(), 20);
  const Sample sample = task->sample(Split::kTest, 0);
  EXPECT_EQ(std::string(sample.tokens.begin(), sample.tokens.begin() + 10), "a run once");
  EXPECT_EQ(sample.tokens.back(), 0xA9);
  ASSERT_EQ(sample.labels.size(), 16U);
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    const std::map<std::size_t, std::int32_t> expected{{0, 5}, {4, 15}, {9, 2}, {15, 7}};
    EXPECT_EQ(sample.labels[i], expected.contains(i) ? expected.at(i) : kNotScored) << i;
  }
  EXPECT_EQ(task->describe(sample), "a/DET run/VERB once/ADV caf\xC3\xA9/NOUN");
}

TEST(Tagging, BaselinesAreTheConstantAndTheWordsOwnTags) {
  const TemporaryFolder folder;
  write_parts(folder.path(), kTrained, kTested + token("5", "a", "DET"));
  const auto baselines = make_tagging(folder.path(), {{"partial", "true"}})->baselines();
  ASSERT_EQ(baselines.size(), 2U);
  EXPECT_DOUBLE_EQ(baselines[0].accuracy, 2.0 / 5);
  // Right: a, once, a. "run" is a noun twice of three times, and as many of all words are nouns as
  // determiners; DET comes first.
  EXPECT_EQ(baselines[1].name, "most frequent tag of each word");
  EXPECT_DOUBLE_EQ(baselines[1].accuracy, 3.0 / 5);
}

TEST(Tagging, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  const auto failure = [&](const OptionTexts& options) {
    const auto error = error_of([&] { make_tagging(folder.path(), options); });
    EXPECT_TRUE(error.has_value() && error->failure() == Failure::kNoData);
    return std::string(error ? error->what() : "");
  };
  EXPECT_NE(failure({}).find("none of en_ewt-ud-train.conllu*, pos/en_ewt"), std::string::npos);
  write_parts(folder.path(), kTrained, kTested);
  EXPECT_NE(failure({}).find("has 1 training sentences, the whole data set 12544"),
            std::string::npos);
  std::filesystem::remove(folder.path() + "/en_ewt-ud-test.conllu");
  EXPECT_NE(failure({{"partial", "true"}}).find("none of en_ewt-ud-test.conllu*"),
            std::string::npos);
}

}  // namespace
}  // namespace arena
