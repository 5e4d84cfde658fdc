// Folders and archives of outside data, and what of a text is let through.

#include "tasks/format/archive.hpp"

#include <gtest/gtest.h>

#include "data_file.hpp"
#include "expect_error.hpp"
#include "tasks/format/text.hpp"
#include "temporary_folder.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

MemberReader::Limits all_up_to(std::size_t bytes) {
  return {.bytes = bytes, .wanted = [](std::string_view) { return true; }};
}

/// "name=content" of all members.
std::vector<std::string> members_of(const std::string& path, MemberReader::Limits limits) {
  MemberReader reader(path, std::move(limits));
  std::vector<std::string> members;
  while (const auto member = reader.next()) members.push_back(member->name + "=" + member->content);
  return members;
}

const std::vector<TarMember> kMembers{
    {"set/b.txt", "two"}, {"set/a.txt", ""}, {"set/c/d.txt", "x"}};

class PackedTar : public testing::TestWithParam<Packing> {};
INSTANTIATE_TEST_SUITE_P(Archive, PackedTar,
                         testing::Values(Packing::kPlain, Packing::kGzip, Packing::kXz));

TEST_P(PackedTar, MembersComeInTheOrderOfTheArchive) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/set.tar";
  write_tar(path, kMembers, GetParam());
  EXPECT_EQ(members_of(path, all_up_to(3)),
            (std::vector<std::string>{"set/b.txt=two", "set/a.txt=", "set/c/d.txt=x"}));
  const auto only_a = [](std::string_view name) { return file_name(name) == "a.txt"; };
  EXPECT_EQ(members_of(path, {.bytes = 3, .wanted = only_a}),
            std::vector<std::string>{"set/a.txt="});
}

TEST(Archive, MembersOfAFolderComeByName) {
  const TemporaryFolder folder;
  for (const TarMember& member : kMembers) {
    write_file(folder.path() + "/" + member.name, member.content);
  }
  fs::create_symlink("nowhere", folder.path() + "/dangling");
  EXPECT_EQ(members_of(folder.path() + "/set", all_up_to(3)),
            (std::vector<std::string>{"a.txt=", "b.txt=two", "c/d.txt=x"}));
  EXPECT_EQ(members_of(folder.path() + "/set/", all_up_to(3)).front(), "a.txt=");
}

TEST(Archive, TooLargeMembersAreRefusedWhereWanted) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/set.tar.gz";
  write_tar(path, {{"big", std::string(200'001, 'x')}, {"small", "1"}});
  write_file(folder.path() + "/set/big", std::string(200'001, 'x'));
  EXPECT_EQ(members_of(path, all_up_to(200'001)).size(), 2U);
  EXPECT_ERROR(members_of(path, all_up_to(200'000)),
               "'" + path + "', member 'big': more than 200000 bytes");
  EXPECT_ERROR(members_of(folder.path() + "/set", all_up_to(200'000)),
               "', member 'big': more than 200000 bytes");
  const auto small = [](std::string_view name) { return name == "small"; };
  EXPECT_EQ(members_of(path, {.bytes = 1, .wanted = small}).size(), 1U);
}

TEST(Archive, NamesThatLeadOutAndLinksAreRefused) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/set.tar.gz";
  for (const char* name : {"../x", "a/../../x", "/etc/passwd", ".."}) {
    write_tar(path, {{"good", "1"}, {name, "2"}});
    EXPECT_ERROR(members_of(path, all_up_to(9)),
                 "', member '" + std::string(name) + "': its name leads out of the archive");
  }
  write_tar(path, {{"link", "", "good"}});
  EXPECT_ERROR(members_of(path, all_up_to(9)), "member 'link': a link or device, expected a file");
  write_tar(path, {{"a..b/..c", "fine"}});
  EXPECT_EQ(members_of(path, all_up_to(9)).size(), 1U);
}

TEST_P(PackedTar, TruncatedArchivesAreRefused) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/set.tar";
  std::string noise;
  for (int i = 0; i < 50'000; ++i) noise += std::to_string(i * 7919 % 10007);
  write_tar(path, {{"noise", noise}}, GetParam());
  fs::resize_file(path, fs::file_size(path) / 2);
  EXPECT_ERROR(members_of(path, all_up_to(1 << 20)), "'" + path + "'");
}

TEST(Archive, WhatIsNoneIsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/set.tar.gz";
  write_file(path, "neither gzip nor tar");
  EXPECT_ERROR(members_of(path, all_up_to(9)), "cannot read '" + path + "': ");
  const auto error = error_of([&] { MemberReader(folder.path() + "/none", all_up_to(9)); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kNoData);
}

TEST(Text, ShownIsShortAndPrintable) {
  EXPECT_EQ(shown("[FIRST"), "'[FIRST'");
  EXPECT_EQ(shown(std::string("a\0\n\xFF", 4)), "'a\\x00\\x0a\\xff'");
  EXPECT_EQ(shown(std::string(50, 'x')), "'" + std::string(40, 'x') + "...'");
}

TEST(Text, StrippedHasNoWhiteSpaceAtItsEnds) {
  EXPECT_EQ(stripped(" \t\r\na b\n\v\f"), "a b");
  EXPECT_EQ(stripped(" \n"), "");
  EXPECT_EQ(stripped(""), "");
}

TEST(Text, Utf8IsCheckedToTheLetter) {
  const std::vector<std::string> good{"",
                                      "plain",
                                      "\xC2\x80",
                                      "\xDF\xBF",
                                      "\xE0\xA0\x80",
                                      "\xED\x9F\xBF",
                                      "\xEE\x80\x80",
                                      "\xEF\xBF\xBF",
                                      "\xF0\x90\x80\x80",
                                      "\xF4\x8F\xBF\xBF"};
  for (const std::string& text : good) EXPECT_NO_THROW(check_utf8(text + "a" + text, "here"));
  const std::vector<std::string> bad{"\x80",
                                     "\xBF",
                                     "\xC0\x80",  // lone, overlong
                                     "\xC1\xBF",
                                     "\xE0\x9F\xBF",
                                     "\xF0\x8F\xBF\xBF",
                                     "\xED\xA0\x80",
                                     "\xF4\x90\x80\x80",  // surrogate, too large
                                     "\xF5\x80\x80\x80",
                                     "\xFF",
                                     "\xC2",
                                     "\xE2\x82",
                                     "\xF0\x9F\x98",
                                     "\xC2\x41",
                                     "\xE2\x82\x41",
                                     "\xF0\x9F\x98\x41"};
  for (const std::string& text : bad) {
    EXPECT_ERROR(check_utf8("ab" + text, "here"), "here: byte 3 is not UTF-8: ");
  }
}

}  // namespace
}  // namespace arena
