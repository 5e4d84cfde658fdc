// The review files and the task made of them.

#include "tasks/format/text.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "expect_error.hpp"
#include "small_data.hpp"
#include "tasks/format/imdb.hpp"
#include "tasks/format/labelled_set.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

std::unique_ptr<Task> make_text(const std::string& data_dir, const OptionTexts& options) {
  const TaskInfo& info = Registry<TaskInfo>::find("text");
  return info.make({.data_dir = data_dir}, Options("text", info.options, options));
}

using Labelled = std::map<std::string, std::int32_t>;

Labelled labels_of(const std::vector<ImdbReview>& reviews) {
  Labelled labels;
  for (const ImdbReview& review : reviews) labels[review.text] = review.label;
  return labels;
}

const std::vector<TarMember> kReviews{{"aclImdb/test/pos/0_10.txt", "caf\xC3\xA9<br />"},
                                      {"aclImdb/README", "not \xFF read"},
                                      {"aclImdb/train/unsup/0_0.txt", "unlabelled"},
                                      {"aclImdb/train/labeledBow.feat", "0:1"},
                                      {"aclImdb/train/pos/10_7.txt", "later"},
                                      {"aclImdb/train/pos/9_8.txt", " sooner\n"},
                                      {"aclImdb/train/neg/3_1.txt", "bad"},
                                      {"aclImdb/test/neg/0_4.txt", "worse"}};

TEST(Imdb, ReviewsAreReadFromFolderAndArchiveAlike) {
  const TemporaryFolder folder;
  for (const TarMember& member : kReviews) {
    write_file(folder.path() + "/" + member.name, member.content);
  }
  write_tar(folder.path() + "/a.tar.gz", kReviews);
  const ImdbData unpacked = read_imdb(folder.path() + "/aclImdb");
  const ImdbData packed = read_imdb(folder.path() + "/a.tar.gz");
  EXPECT_EQ(unpacked.content_hash, packed.content_hash);
  for (const ImdbData& data : {unpacked, packed}) {
    EXPECT_EQ(labels_of(data.train), (Labelled{{"bad", 0}, {"sooner", 1}, {"later", 1}}));
    EXPECT_EQ(labels_of(data.test), (Labelled{{"worse", 0}, {"caf\xC3\xA9<br />", 1}}));
    for (const auto* part : {&data.train, &data.test}) {
      EXPECT_TRUE(std::ranges::is_sorted(*part, {}, &ImdbReview::content_hash));
    }
  }
}

TEST(Imdb, ContentHashTellsTextsAndPlacesApart) {
  const TemporaryFolder folder;
  const auto hash = [&](const std::vector<TarMember>& members) {
    write_tar(folder.path() + "/a.tar", members, Packing::kPlain);
    return read_imdb(folder.path() + "/a.tar").content_hash;
  };
  const auto here = hash({{"train/pos/1_9.txt", "good"}});
  EXPECT_EQ(here, hash({{"./x/train/pos/1_9.txt", "good"}}));
  EXPECT_NE(here, hash({{"train/pos/1_9.txt", "gooD"}}));
  EXPECT_NE(here, hash({{"train/pos/2_9.txt", "good"}}));
  EXPECT_NE(here, hash({{"test/pos/1_9.txt", "good"}}));
  EXPECT_NE(here, hash({{"train/neg/1_1.txt", "good"}}));
}

TEST(Imdb, BadReviewsAreRefusedNamingTheMember) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tar.gz";
  const auto refused = [&](const std::string& name, const std::string& text,
                           const std::string& message) {
    write_tar(path, {{"train/neg/0_1.txt", "fine"}, {name, text}});
    EXPECT_ERROR(read_imdb(path), "'" + path + "', member '" + name + "': " + message);
  };
  refused("train/neg/1_7.txt", "x", "rating 7 in folder neg, expected 1 to 4");
  refused("train/neg/1_0.txt", "x", "rating 0 in folder neg, expected 1 to 4");
  refused("test/pos/1_6.txt", "x", "rating 6 in folder pos, expected 7 to 10");
  refused("test/pos/1_11.txt", "x", "rating 11 in folder pos, expected 7 to 10");
  for (const char* name : {"1.txt", "_7.txt", "a_7.txt", "1_.txt", "1_7_7.txt", "-1_7.txt",
                           "1_7 .txt", "99999999999_7.txt", ".txt"}) {
    refused(std::string("test/pos/") + name, "x", "expected a name ID_RATING.txt");
  }
  refused("train/pos/1_7.txt", "caf\xE9", "byte 4 is not UTF-8: '\\xe9'");
  refused("train/pos/1_7.txt", " \n", "an empty review");
  refused("train/pos/1_7.txt", std::string((1 << 20) + 1, 'x'), "more than 1048576 bytes");
  write_tar(path, {{"train/neg/3_1.txt", "a"}, {"train/neg/3_2.txt", "b"}});
  EXPECT_ERROR(read_imdb(path), "member 'train/neg/3_2.txt': a second review with this id");
}

TEST(Text, ReadsBytesUpToMaxLen) {
  const TemporaryFolder folder;
  const std::string set = folder.path() + "/imdb/aclImdb/";
  write_file(set + "train/pos/0_9.txt", "good");
  write_file(set + "train/neg/0_1.txt", "bad");
  write_file(set + "train/neg/1_1.txt", "worse");
  write_file(set + "test/neg/0_2.txt", std::string(999, 'x') + "\xC3\xA9y");
  write_file(set + "test/pos/0_9.txt", "caf\xC3\xA9");
  const auto task = make_text(folder.path(), {{"partial", "true"}, {"max_len", "1000"}});
  EXPECT_EQ(task->max_len(), 1000);
  EXPECT_EQ(task->vocab_size(), 256);
  Sample cut = task->sample(Split::kTest, 0);
  Sample whole = task->sample(Split::kTest, 1);
  if (cut.labels.front() == 1) std::swap(cut, whole);
  EXPECT_EQ(cut.tokens.size(), 1000U);
  EXPECT_EQ(cut.tokens.back(), 0xC3);
  EXPECT_EQ(cut.labels, std::vector<std::int32_t>{0});
  EXPECT_EQ(whole.tokens, (std::vector<std::int32_t>{'c', 'a', 'f', 0xC3, 0xA9}));
  EXPECT_EQ(whole.labels, std::vector<std::int32_t>{1});
  EXPECT_EQ(task->describe(whole), "positive: caf\xC3\xA9");
  EXPECT_EQ(task->counts().at("reviews"), 5);
  EXPECT_EQ(task->counts().at("reviews cut at max_len"), 1);
  EXPECT_EQ(task->counts().at("bytes of the longest review"), 1002);
  EXPECT_ERROR(make_text(folder.path(), {{"max_len", "999"}}),
               "option max_len='999' is not in 1000..4096");
}

TEST(Text, AnExcerptEndsWithAWholeCharacter) {
  const auto excerpt_of = [](const std::string& text) { return excerpt(byte_tokens(text, 9999)); };
  EXPECT_EQ(excerpt_of("a\nb"), "a b");
  const std::string full(400, 'x');
  EXPECT_EQ(excerpt_of(full), full);
  EXPECT_EQ(excerpt_of(full + "y"), full + " ... (401 bytes)");
  EXPECT_EQ(excerpt_of(std::string(398, 'x') + "\xE2\x82\xAC"),
            std::string(398, 'x') + " ... (401 bytes)");
}

TEST(HeldOut, IsTheTenthOfEachClassWithTheSmallestHashesAndAllCopies) {
  // Class 0: 11 examples, so 2 of them, and both have hash 3, as has a third one. Class 1: 4, so 1.
  const std::vector<std::uint64_t> hashes{9, 3, 12, 3, 8, 3, 7, 20, 21, 22, 23, 5, 3, 4, 6};
  const std::vector<std::int32_t> labels{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};
  std::vector<std::size_t> held;
  const std::vector<bool> result = held_out(hashes, labels);
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i]) held.push_back(i);
  }
  EXPECT_EQ(held, (std::vector<std::size_t>{1, 3, 5, 12}));
}

/// Reviews that only their letters tell apart, some of them twice.
void write_letters(const std::string& folder, int count) {
  for (const char* part : {"train", "test"}) {
    for (int i = 0; i < count; ++i) {
      const std::string number = std::to_string(i < 10 ? i % 5 : i) + part;
      const std::string place = folder + "/aclImdb/" + part;
      write_file(place + "/pos/" + std::to_string(i) + "_8.txt", "aaaab" + number);
      write_file(place + "/neg/" + std::to_string(i) + "_2.txt", "abbbb" + number);
    }
  }
}

TEST(Text, TheValidationPartIsATenthOfEachClassWithItsCopies) {
  const TemporaryFolder folder;
  write_letters(folder.path(), 200);
  const auto task = make_text(folder.path(), {{"partial", "true"}});
  const auto contents = [&](Split split, std::array<Index, 2>& classes) {
    std::set<std::vector<std::int32_t>> all;
    for (Index i = 0; i < task->size(split); ++i) {
      const Sample sample = task->sample(split, i);
      all.insert(sample.tokens);
      ++classes[static_cast<std::size_t>(sample.labels.front())];
    }
    return all;
  };
  std::array<Index, 2> trained{}, validated{};
  const auto train = contents(Split::kTrain, trained);
  for (const auto& tokens : contents(Split::kValidation, validated)) {
    EXPECT_FALSE(train.contains(tokens));
  }
  for (const std::size_t label : {0U, 1U}) {
    EXPECT_EQ(trained[label] + validated[label], 200);
    EXPECT_GE(validated[label], 20);
    EXPECT_LE(validated[label], 25);  // the last of them may have its copy with it
  }
}

TEST(Text, ABagOfBytesIsScoredOnTheTestSplit) {
  const TemporaryFolder folder;
  write_letters(folder.path(), 200);
  write_file(folder.path() + "/aclImdb/test/neg/300_2.txt", "aaaab of the other kind");
  const auto task = make_text(folder.path(), {{"partial", "true"}});
  const std::vector<Baseline> baselines = task->baselines();
  ASSERT_EQ(baselines.size(), 2U);
  EXPECT_DOUBLE_EQ(baselines[0].accuracy, 201.0 / 401);
  EXPECT_EQ(baselines[1].name, "bag of bytes");
  EXPECT_DOUBLE_EQ(baselines[1].accuracy, 400.0 / 401);
}

}  // namespace
}  // namespace arena
