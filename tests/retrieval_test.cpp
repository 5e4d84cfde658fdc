// Files of pairs of papers and the task made of them.

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "small_data.hpp"
#include "tasks/format/aan_tsv.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

const std::string kRows =
    "1.0\tP1\tP2\tcaf\xC3\xA9 \"one\"\ttwo\n"
    "0.0\tP1\tP3\tcaf\xC3\xA9 \"one\"\tthree\n";

std::unique_ptr<Task> make_retrieval(const std::string& data_dir, const OptionTexts& options) {
  const TaskInfo& info = Registry<TaskInfo>::find("retrieval");
  return info.make({.data_dir = data_dir}, Options("retrieval", info.options, options));
}

class PackedPairs : public testing::TestWithParam<Packing> {};
INSTANTIATE_TEST_SUITE_P(Aan, PackedPairs,
                         testing::Values(Packing::kPlain, Packing::kGzip, Packing::kXz));

TEST_P(PackedPairs, TextsAreReadToMaxLenAndKeptOnce) {
  Documents documents;
  const AanFile file = read_aan_tsv(DataFile(kRows, GetParam()).path(), 4, documents);
  ASSERT_EQ(file.pairs.size(), 2U);
  EXPECT_EQ(file.pairs[0].label, 1);
  EXPECT_EQ(file.pairs[1].label, 0);
  EXPECT_EQ(documents.size(), 3);
  EXPECT_EQ(documents[file.pairs[0].first], "caf\xC3");
  EXPECT_EQ(documents[file.pairs[1].first], "caf\xC3");
  EXPECT_EQ(documents[file.pairs[0].second], "two");
  EXPECT_EQ(documents[file.pairs[1].second], "thre");
  EXPECT_EQ(file.cut, 3);
  Documents whole;
  const DataFile plain(kRows);
  EXPECT_EQ(read_aan_tsv(plain.path(), 100, whole).content_hash, file.content_hash);
  EXPECT_EQ(whole[0], "caf\xC3\xA9 \"one\"");
}

TEST(AanTsv, ContentHashTellsFilesApart) {
  const auto hash = [](const std::string& rows) {
    Documents documents;
    return read_aan_tsv(DataFile(rows).path(), 2, documents).content_hash;
  };
  EXPECT_EQ(hash("1.0\ta\tb\tone\ttwo\n"), hash("1.0\ta\tb\tone\ttwo\r\n"));
  EXPECT_NE(hash("1.0\ta\tb\tone\ttwo\n"), hash("0.0\ta\tb\tone\ttwo\n"));
  EXPECT_NE(hash("1.0\ta\tb\tone\ttwo\n"), hash("1.0\ta\tb\tone\ttwO\n"));
}

TEST(AanTsv, RowsWithoutATextAreLeftOutAndCounted) {
  Documents documents;
  const AanFile file =
      read_aan_tsv(DataFile(kRows + "1.0\ta\tb\t\ttwo\n0.0\ta\tb\tone\t\n").path(), 9, documents);
  EXPECT_EQ(file.pairs.size(), 2U);
  EXPECT_EQ(file.without_text, 2);
  const DataFile empty("1.0\ta\tb\t\ttwo\n");
  EXPECT_ERROR(read_aan_tsv(empty.path(), 9, documents), empty.path() + ": no pair of two texts");
}

TEST(AanTsv, BadRowsAreRefusedNamingTheLine) {
  const auto refused = [](const std::string& line, const std::string& message) {
    const DataFile file(kRows + line + "\n" + kRows);
    Documents documents;
    EXPECT_ERROR(read_aan_tsv(file.path(), 9, documents), file.path() + ":3" + message);
  };
  refused("", ": 1 fields between tabs, expected label, id, id, text, text");
  refused("1.0\ta\tb\tone", ": 4 fields between tabs");
  refused("1.0\ta\tb\tone\ttwo\tthree", ": 6 fields between tabs");
  refused("2.0\ta\tb\tone\ttwo", ": label '2.0', expected 0.0 or 1.0");
  refused("1\ta\tb\tone\ttwo", ": label '1', expected 0.0 or 1.0");
  refused("label\tid1\tid2\ttext1\ttext2", ": label 'label', expected 0.0 or 1.0");
  refused("1.0\ta\tb\tone\tcaf\xE9", ", field 5: byte 4 is not UTF-8: '\\xe9'");
  refused("1.0\ta\tb\tcaf\xC3\ttwo", ", field 4: byte 4 is not UTF-8: '\\xc3'");
}

TEST(Retrieval, PairsAreBytesOfBothPapers) {
  const auto task = make_retrieval(small_data_dir(), {{"partial", "true"}});
  EXPECT_TRUE(task->pairs());
  EXPECT_TRUE(task->partial());
  EXPECT_EQ(task->size(Split::kTrain), 50);
  EXPECT_EQ(task->size(Split::kValidation), 50);
  const Sample pair = task->sample(Split::kValidation, 2);
  EXPECT_EQ(pair.labels, std::vector<std::int32_t>{1});
  const std::string first = "paper 0 of eval", second = "a reply to 0..";
  EXPECT_EQ(pair.tokens, std::vector<std::int32_t>(first.begin(), first.end()));
  EXPECT_EQ(pair.second, std::vector<std::int32_t>(second.begin(), second.end()));
  EXPECT_EQ(task->describe(pair), "a citation\nfirst:  " + first + "\nsecond: " + second);
  EXPECT_EQ(task->counts().at("pairs with a citation"), 75);
  EXPECT_EQ(task->counts().at("pairs without a text, left out"), 0);
  EXPECT_ERROR(make_retrieval(small_data_dir(), {}),
               "has 50 training pairs, the whole data set 147086; task.partial=true");
}

TEST(Retrieval, AllFilesLieWhereTheFirstOneDoes) {
  const TemporaryFolder folder;
  const std::string set = folder.path() + "/lra_release/lra_release/tsv_data/";
  write_file(set + "new_aan_pairs.train.tsv.gz", paper_pairs(8, "train"), Packing::kGzip);
  write_file(set + "new_aan_pairs.eval.tsv.xz", paper_pairs(4, "eval"), Packing::kXz);
  write_file(folder.path() + "/new_aan_pairs.test.tsv", paper_pairs(4, "test"));
  const auto error = error_of([&] { make_retrieval(folder.path(), {{"partial", "true"}}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kNoData);
  EXPECT_NE(std::string(error->what()).find("*aan_pairs.test.tsv*"), std::string::npos);
  write_file(set + "new_aan_pairs.test.tsv", paper_pairs(4, "test"));
  EXPECT_EQ(make_retrieval(folder.path(), {{"partial", "true"}})->size(Split::kTrain), 8);
}

}  // namespace
}  // namespace arena
