// Readers of outside text files: lines, tab-separated fields, and the two formats of ListOps.

#include "tasks/format/tsv.hpp"

#include <gtest/gtest.h>

#include "data_file.hpp"
#include "expect_error.hpp"
#include "tasks/format/listops_expression.hpp"
#include "tasks/format/listops_tsv.hpp"

namespace arena {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const DataFile& file) {
  LineReader reader(file.path());
  Lines lines;
  while (const auto line = reader.next()) lines.emplace_back(*line);
  return lines;
}

class Packed : public testing::TestWithParam<Packing> {};
INSTANTIATE_TEST_SUITE_P(Tsv, Packed,
                         testing::Values(Packing::kPlain, Packing::kGzip, Packing::kXz));

TEST_P(Packed, LinesEndInLfOrCrlfOrNothing) {
  EXPECT_EQ(lines_of(DataFile("a\nb\n", GetParam())), (Lines{"a", "b"}));
  EXPECT_EQ(lines_of(DataFile("a\r\nb\r\n", GetParam())), (Lines{"a", "b"}));
  EXPECT_EQ(lines_of(DataFile("a\nb", GetParam())), (Lines{"a", "b"}));
  EXPECT_EQ(lines_of(DataFile("a\n\nb\n\n", GetParam())), (Lines{"a", "", "b", ""}));
  EXPECT_EQ(lines_of(DataFile("\n", GetParam())), Lines{""});
  EXPECT_EQ(lines_of(DataFile("a\rb\n", GetParam())), Lines{"a\rb"});
  EXPECT_EQ(lines_of(DataFile("", GetParam())), Lines{});
}

TEST_P(Packed, LinesMayBeLongerThanOneRead) {
  Lines expected;
  std::string content;
  for (const std::size_t length : {1U, 65535U, 65536U, 65537U, 300000U, 0U, 7U}) {
    expected.emplace_back(length, static_cast<char>('a' + expected.size()));
    content += expected.back() + "\r\n";
  }
  EXPECT_EQ(lines_of(DataFile(content, GetParam())), expected);
}

TEST_P(Packed, ALineWithoutEndIsRefused) {
  const DataFile file("first\n" + std::string(std::size_t{17} << 20, 'a'), GetParam());
  EXPECT_ERROR(lines_of(file), file.path() + ":2: a line of more than 16777216 bytes");
}

TEST(LineReader, SaysWhereItIs) {
  const DataFile file("a\nb\n");
  LineReader reader(file.path());
  reader.next();
  reader.next();
  EXPECT_EQ(reader.where(), file.path() + ":2");
}

TEST(LineReader, ReportsATruncatedGzipFile) {
  std::string content;
  for (int i = 0; i < 50000; ++i) content += std::to_string(i * 7919 % 10007) + "\n";
  const DataFile file(content, Packing::kGzip);
  file.cut_to(std::filesystem::file_size(file.path()) / 2);
  EXPECT_ERROR(lines_of(file), file.path() + ": broken after line ");
}

TEST(LineReader, ReadsAMemberOfATarArchive) {
  const DataFile file("");
  write_tar(file.path(), {{"./a/other", "0"}, {"a/link", "", "rows"}, {"a/rows", "1\n2"}});
  LineReader reader(TextFile{file.path(), "rows"});
  EXPECT_EQ(reader.next(), "1");
  EXPECT_EQ(reader.next(), "2");
  EXPECT_EQ(reader.where(), file.path() + ", rows:2");
  EXPECT_EQ(reader.next(), std::nullopt);
  for (const char* name : {"nothing", "link"}) {
    const auto error = error_of([&] { LineReader missing(TextFile{file.path(), name}); });
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->failure(), Failure::kNoData);
  }
}

TEST(LineReader, ReportsAMissingFileAndAFolder) {
  const std::string missing = testing::TempDir() + "no-such-file.tsv";
  const auto error = error_of([&] { LineReader reader(missing); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kNoData);
  EXPECT_NE(std::string(error->what()).find(missing), std::string::npos);
  EXPECT_ERROR(LineReader(testing::TempDir()), "is a folder");
}

TEST(Tsv, FieldsStandBetweenTabs) {
  using Fields = std::vector<std::string_view>;
  EXPECT_EQ(tab_fields("a\tb c\t"), (Fields{"a", "b c", ""}));
  EXPECT_EQ(tab_fields(""), Fields{""});
}

// The same two rows, [MAX 3 5 9] = 9 and [SM 7 [MED 1 2]] = 8, in both formats.
const std::string kArena =
    "Source\tTarget\r\n( ( ( ( [MAX 3 ) 5 ) 9 ) ] )\t9\r\n"
    "( ( ( [SM 7 ) ( ( ( [MED 1 ) 2 ) ] ) ) ] )\t8\r\n";
const std::string kOriginal =
    "9\t( ( ( ( [MAX 3 ) 5 ) 9 ) ] )\n8\t( ( ( [SM 7 ) ( ( ( [MED 1 ) 2 ) ] ) ) ] )\n";

TEST_P(Packed, BothListopsFormatsGiveTheSameRows) {
  const ListopsFile arena = read_listops_tsv(DataFile(kArena, GetParam()).path(), 100);
  const ListopsFile original = read_listops_tsv(DataFile(kOriginal, GetParam()).path(), 100);
  for (const ListopsFile& file : {arena, original}) {
    ASSERT_EQ(file.rows.size(), 2U);
    EXPECT_EQ(file.rows[0].tokens, (std::vector<std::int32_t>{1, 8, 10, 14, 4}));
    EXPECT_EQ(file.rows[0].label, 9);
    EXPECT_EQ(file.rows[1].tokens, (std::vector<std::int32_t>{3, 12, 2, 6, 7, 4, 4}));
    EXPECT_EQ(file.rows[1].label, 8);
    EXPECT_EQ(file.too_long, 0);
  }
  EXPECT_EQ(arena.content_hash, original.content_hash);
}

TEST(ListopsTsv, RowsAreWrittenAsTheyAreRead) {
  std::string text = kListopsHeader;
  for (const ListopsRow& row : read_listops_tsv(DataFile(kOriginal).path(), 100).rows) {
    text += listops_tsv_row(row);
  }
  EXPECT_EQ(text, kArena);
  EXPECT_EQ(listops_tsv_row({{kListopsDigit + 4}, 4}), "4\t4\r\n");
}

TEST(ListopsTsv, ContentHashTellsFilesApart) {
  const auto hash = [](const std::string& text) {
    return read_listops_tsv(DataFile(text).path(), 100).content_hash;
  };
  EXPECT_NE(hash("9\t[MAX 3 9 ]\n"), hash("9\t[MAX 4 9 ]\n"));
  EXPECT_NE(hash("9\t[MAX 3 9 ]\n"), hash("9\t[MAX 3 9 ]\n9\t[MAX 3 9 ]\n"));
}

TEST(ListopsTsv, LongRowsAreLeftOutAndCounted) {
  const ListopsFile file = read_listops_tsv(DataFile(kArena).path(), 5);
  EXPECT_EQ(file.rows.size(), 1U);
  EXPECT_EQ(file.too_long, 1);
  EXPECT_NE(file.content_hash, 0U);
  EXPECT_EQ(read_listops_tsv(DataFile(kArena).path(), 4).too_long, 2);
}

TEST(ListopsTsv, TheLastLineNeedNotEnd) {
  EXPECT_EQ(read_listops_tsv(DataFile("4\t4").path(), 100).rows.size(), 1U);
  EXPECT_EQ(read_listops_tsv(DataFile("Source\tTarget\n4\t4").path(), 100).rows.size(), 1U);
}

TEST(ListopsTsv, ExpressionsMayBeDeepAndWide) {
  std::string deep;
  for (int i = 0; i < 20000; ++i) deep += "[MIN ";
  deep += "7";
  for (int i = 0; i < 20000; ++i) deep += " ]";
  EXPECT_EQ(read_listops_tsv(DataFile("7\t" + deep + "\n").path(), 50000).rows.size(), 1U);
  std::string wide = "[SM";
  for (int i = 0; i < 20001; ++i) wide += " 3";
  EXPECT_EQ(read_listops_tsv(DataFile("3\t" + wide + " ]\n").path(), 50000).rows.size(), 1U);
}

/// A file whose third line is `line` is refused: `message` follows "FILE:3: ".
void expect_refused(const std::string& line, const std::string& message) {
  const std::string good = "9\t( ( ( [MAX 3 ) 9 ) ] )\n";
  const DataFile file(good + good + line + "\n" + good);
  EXPECT_ERROR(read_listops_tsv(file.path(), 100), file.path() + ":3: " + message) << line;
}

TEST(ListopsTsv, BadRowsAreRefusedNamingTheLine) {
  expect_refused("2\t( ( ( [FIRST 2 ) 3 ) ] )",
                 "token '[FIRST' is not in the vocabulary [MIN [MAX [MED [SM ] 0..9");
  expect_refused("2\t[LAST 3 2 ]", "token '[LAST' is not");
  expect_refused("2\t[MAX 1 2 X", "token 'X' is not");
  expect_refused("2\t[MAX 1 12 ]", "token '12' is not");
  expect_refused("3\t[MAX 1 2 ]", "label 3, but the expression's value is 2");
  expect_refused("10\t[MAX 1 2 ]", "label '10' is not a digit");
  expect_refused("\t[MAX 1 2 ]", "label '' is not a digit");
  expect_refused("2\t[MAX 1 2", "malformed expression: 1 operators are not closed");
  expect_refused("2\t[MAX 1 2 ] ]", "malformed expression: something follows the end");
  expect_refused("2\t1 2", "malformed expression: something follows the end");
  expect_refused("2\t]", "malformed expression: a closing bracket without an operator");
  expect_refused("2\t[MAX [MIN ] 2 ]", "malformed expression: an operator without arguments");
  expect_refused("2\t", "malformed expression: an empty expression");
  expect_refused("2\t( [MAX 1 2 ]", "1 '(' are not closed");
  expect_refused("2\t[MAX ) 1 ( 2 ]", "a ')' without its '('");
  expect_refused("2\t[MAX 1 2 ]\t2", "3 fields between tabs");
  expect_refused("", "1 fields between tabs");
}

TEST(ListopsTsv, FilesOfAnotherKindAreRefused) {
  const auto refused = [](const std::string& content, const std::string& message) {
    const DataFile file(content);
    EXPECT_ERROR(read_listops_tsv(file.path(), 100), file.path() + message);
  };
  refused("", ": no rows");
  refused("Source\tTarget\n", ": no rows");
  refused("[MAX 1 2 ]\t2\n", ":1: neither the header 'Source<TAB>Target' nor a row");
  refused("\x89PNG\r\n",
          ":1: neither the header 'Source<TAB>Target' nor a row 'label<TAB>"
          "expression': '\\x89PNG'");
}

}  // namespace
}  // namespace arena
