// Data sets on a user's machine: fetched from good and bad servers, checked, shown, written.

#include <gtest/gtest.h>
#include <sys/file.h>

#include "expect_error.hpp"
#include "harness/data/download.hpp"
#include "harness/data/sha256.hpp"
#include "harness/data/verify.hpp"
#include "pathfinder_files.hpp"
#include "results/store.hpp"
#include "small_data.hpp"
#include "tasks/pathfinder/official.hpp"
#include "tests/file_server.hpp"

namespace arena {
namespace {

std::string sha256(const std::string& text) {
  Sha256 sum;
  sum.update(text);
  return sum.finish();
}

TEST(Sha256, GivesThePublishedValues) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnThePieces) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (const std::size_t size : {1U, 63U, 64U, 65U, 119U}) {
    Sha256 sum;
    for (std::size_t at = 0; at < text.size(); at += size) sum.update(text.substr(at, size));
    EXPECT_EQ(sum.finish(), sha256(text)) << size;
  }
}

class Downloads : public testing::Test {
 protected:
  Downloads() {
    for (int i = 0; i < 40000; ++i) content_ += std::to_string(i * 7919 % 10007);
  }
  std::string path() const { return folder_.path() + "/a/file"; }
  std::string part() const { return path() + ".part"; }
  Download wanted(const FileServer& server) const {
    return {.url = server.url(),
            .path = path(),
            .bytes = static_cast<std::int64_t>(content_.size()),
            .sha256 = sha256(content_),
            .stall_s = 1};
  }
  static std::string get(const Download& wanted) {
    return download(wanted, [](std::int64_t, std::int64_t) {});
  }
  void expect_whole() const {
    EXPECT_EQ(read_file(path()), content_);
    EXPECT_FALSE(std::filesystem::exists(part()));
  }
  void expect_nothing() const {
    EXPECT_FALSE(std::filesystem::exists(path()));
    EXPECT_FALSE(std::filesystem::exists(part()));
  }

  TemporaryFolder folder_{};
  std::string content_{};
};

TEST_F(Downloads, AGoodFileIsFetchedAndProgressTold) {
  const FileServer server(content_, Serving::kWell);
  std::int64_t done = 0, total = 0;
  EXPECT_EQ(download(wanted(server),
                     [&](std::int64_t now, std::int64_t all) {
                       EXPECT_GE(now, done);
                       done = now;
                       total = all;
                     }),
            sha256(content_));
  EXPECT_EQ(done, static_cast<std::int64_t>(content_.size()));
  EXPECT_EQ(total, done);
  expect_whole();
}

TEST_F(Downloads, WhatWasCutOffIsResumed) {
  {
    const FileServer server(content_, Serving::kHalf);
    const std::string half = std::to_string(content_.size() / 2);
    EXPECT_ERROR(get(wanted(server)), half + " bytes are here, and the same command goes on");
  }
  EXPECT_FALSE(std::filesystem::exists(path()));
  const FileServer server(content_, Serving::kWell);
  get(wanted(server));
  EXPECT_EQ(server.starts(), std::vector<std::size_t>{content_.size() / 2});
  expect_whole();
}

TEST_F(Downloads, AServerWithoutRangesStartsOver) {
  write_file(part(), content_.substr(0, 1000));
  const FileServer server(content_, Serving::kWithoutRanges);
  get(wanted(server));
  EXPECT_EQ(server.starts(), (std::vector<std::size_t>{1000, 0}));
  expect_whole();
}

TEST_F(Downloads, WrongBytesAreRemoved) {
  std::string other = content_;
  other[77] = 'x';
  const FileServer server(other, Serving::kWell);
  EXPECT_ERROR(get(wanted(server)), "with SHA-256 " + sha256(other) + ", expected");
  expect_nothing();
}

TEST_F(Downloads, AFileOfAnotherSizeIsRemoved) {
  const FileServer shorter(content_.substr(1), Serving::kWell);
  EXPECT_ERROR(get(wanted(shorter)), std::to_string(content_.size() - 1) + " bytes with SHA-256");
  expect_nothing();
  const FileServer longer(content_ + "x", Serving::kWell);
  EXPECT_ERROR(get(wanted(longer)),
               "more than the " + std::to_string(content_.size()) + " bytes expected");
  expect_nothing();
}

TEST_F(Downloads, AServerThatStallsIsGivenUpAndResumed) {
  {
    const FileServer server(content_, Serving::kStalling);
    EXPECT_ERROR(get(wanted(server)), "bytes are here");
  }
  const FileServer server(content_, Serving::kWell);
  get(wanted(server));
  expect_whole();
}

TEST_F(Downloads, AMissingFileIsAnErrorWithItsUrl) {
  const FileServer server(content_, Serving::kMissing);
  EXPECT_ERROR(get(wanted(server)), server.url() + ": The requested URL returned error: 404");
  expect_nothing();
  EXPECT_ERROR(get({.url = "http://127.0.0.1:1/x", .path = path()}), "http://127.0.0.1:1/x: ");
  EXPECT_ERROR(get({.url = "ftp://127.0.0.1/x", .path = path()}), "ftp");
  expect_nothing();
}

TEST_F(Downloads, AWholePartIsNotFetchedAgain) {
  write_file(part(), content_);
  const FileServer server(content_, Serving::kMissing);
  get(wanted(server));
  EXPECT_TRUE(server.starts().empty());
  expect_whole();
}

TEST_F(Downloads, WithoutAKnownSizeTheServersCounts) {
  write_file(part(), content_);
  const FileServer server(content_, Serving::kWell);
  Download unknown = wanted(server);
  unknown.bytes = 0;
  unknown.sha256.clear();
  EXPECT_EQ(get(unknown), sha256(content_));
  EXPECT_EQ(server.starts(), (std::vector<std::size_t>{content_.size(), 0}));
  expect_whole();
}

TEST_F(Downloads, TwoProcessesDoNotWriteOneFile) {
  write_file(part(), "x");
  const int descriptor = ::open(part().c_str(), O_RDWR);
  ASSERT_EQ(::flock(descriptor, LOCK_EX), 0);
  const FileServer server(content_, Serving::kWell);
  EXPECT_ERROR(get(wanted(server)), "another process is fetching");
  ::close(descriptor);
  EXPECT_TRUE(server.starts().empty());
}

TEST(DataSets, AreFoundByTheirNameAndByTheirTasks) {
  ASSERT_EQ(datasets_of("imdb").size(), 1U);
  EXPECT_EQ(datasets_of("text[max_len=1000]").front(), datasets_of("imdb").front());
  EXPECT_EQ(datasets_of("pathx").front()->name, "lra");
  EXPECT_EQ(datasets_of("nodes").size(), 2U);
  ASSERT_EQ(datasets_of("nodes[graph=cora,partial=true]").size(), 1U);
  EXPECT_EQ(datasets_of("nodes[graph=cora]").front()->name, "cora");
  EXPECT_ERROR(datasets_of("nodes[graph=planted]"), "nodes[graph=planted] reads no data set");
  EXPECT_ERROR(datasets_of("imbd"), "did you mean 'imdb'");
  EXPECT_ERROR(datasets_of("recall"), "unknown data set, or task that reads one, 'recall'");
}

TEST(DataSets, NameTasksThatExistAndFilesThatTheyLookFor) {
  const TemporaryFolder folder;
  for (const std::string& name : Registry<Dataset>::names()) {
    const Dataset& dataset = Registry<Dataset>::find(name);
    EXPECT_FALSE(dataset.licence.empty() || dataset.summary.empty() || dataset.files.empty());
    for (const RemoteFile& file : dataset.files) {
      EXPECT_TRUE(file.url.starts_with("https://")) << file.url;
      EXPECT_TRUE(file.sha256.empty() || file.sha256.size() == 64U) << file.sha256;
    }
    for (const std::string& text : dataset.tasks) {
      const TaskFinding finding = check_task(text, folder.path());
      EXPECT_EQ(finding.status, "NO_DATA") << text;
      ASSERT_EQ(finding.remarks.size(), 1U);
      EXPECT_NE(finding.remarks.front().find(folder.path()), std::string::npos);
    }
  }
}

TEST(DataSets, ASubsetIsReadAndCounted) {
  for (const char* name : {"text", "image", "retrieval", "tagging"}) {
    const TaskFinding finding = check_task(name, small_data_dir());
    EXPECT_EQ(finding.status, "PARTIAL") << name;
    EXPECT_FALSE(finding.places.empty()) << name;
    EXPECT_GT(finding.counts.at("test samples"), 0) << name;
    for (const std::string& place : finding.places) EXPECT_TRUE(std::filesystem::exists(place));
  }
}

TEST(DataSets, WhatIsStillBeingFetchedIsNoData) {
  const TemporaryFolder folder;
  for (const char* part : {"train", "dev", "test"}) {
    write_file(folder.path() + "/en_ewt-ud-" + part + ".conllu.part", tagged_sentences(2, 0));
  }
  EXPECT_EQ(check_task("tagging", folder.path()).status, "NO_DATA");
}

TEST(DataSets, OddAndBrokenDataAreTold) {
  const TemporaryFolder folder;
  write_tar(folder.path() + "/pathfinder32-curv_contour_length_14.tar.gz", pathfinder_members(60));
  const std::string task = "pathfinder[size=32,difficulty=hard,data=official]";
  const TaskFinding dark = check_task(task, folder.path());
  EXPECT_EQ(dark.status, "ODD");
  ASSERT_EQ(dark.remarks.size(), 1U);
  EXPECT_NE(dark.remarks.front().find("not black is 0.0020, expected 0.3416"), std::string::npos);
  write_file(folder.path() + "/rows.tsv", "9\t[MAX 3 9 ]\n");
  const TaskFinding rows =
      check_task("listops[min_len=500,test_file={data}/rows.tsv]", folder.path());
  EXPECT_EQ(rows.status, "ODD");
  EXPECT_EQ(rows.remarks.front(), "1 rows have a length that is not strictly between 500 and 2000");
  write_file(folder.path() + "/en_ewt-ud-train.conllu", "1\tcut");
  EXPECT_EQ(check_task("tagging", folder.path()).status, "NO_DATA");
  write_file(folder.path() + "/en_ewt-ud-dev.conllu", "");
  write_file(folder.path() + "/en_ewt-ud-test.conllu", "");
  EXPECT_EQ(check_task("tagging", folder.path()).status, "ERROR");
}

TEST(DataSets, AFileIsKnownByItsSizeAndChecksum) {
  const TemporaryFolder folder;
  write_file(folder.path() + "/a", "abc");
  const auto fault = [&](std::int64_t bytes, const std::string& sum) {
    const RemoteFile file{.place = "a", .url = "", .bytes = bytes, .sha256 = sum};
    return check_file(file, folder.path()).fault;
  };
  EXPECT_EQ(fault(3, sha256("abc")), "");
  EXPECT_EQ(fault(0, ""), "");
  EXPECT_EQ(fault(4, ""), "3 bytes, expected 4");
  EXPECT_EQ(fault(3, sha256("abd")), "SHA-256 is " + sha256("abc") + ", expected " + sha256("abd"));
  EXPECT_FALSE(check_file({.place = "b", .url = ""}, folder.path()).found);
}

void write_samples(const std::string& text, const std::string& folder) {
  const NamedOptions named = parse_named(text);
  const TaskInfo& info = Registry<TaskInfo>::find(named.name);
  const Options options(info.name, info.options, named.options);
  info.write(*info.make({}, options), options, folder, [](Index, Index) {});
}

TEST(MadeData, PathfinderImagesAreReadBackButNeverTakenForTheRelease) {
  const TemporaryFolder folder;
  const std::string text = "pathfinder[difficulty=easy,examples=100]";
  write_samples(text, folder.path());
  const PathfinderFiles files = read_pathfinder_files(folder.path() + "/pathfinder32/curv_baseline",
                                                      32, PathfinderDifficulty::kEasy);
  EXPECT_EQ(files.images.size(), 100U);
  EXPECT_TRUE(files.generated);
  const Sample first = make_reading_task(text, "")->sample(Split::kTrain, 0);
  const std::vector<std::uint8_t> pixels(first.tokens.begin(), first.tokens.end());
  EXPECT_EQ(read_file(folder.path() + "/pathfinder32/curv_baseline/imgs/0/sample_0.png"),
            gray_png(32, pixels));
  EXPECT_EQ(files.images.front().label, first.labels.front());
  const TaskFinding finding =
      check_task("pathfinder[difficulty=easy,data=official]", folder.path());
  ASSERT_EQ(finding.status, "ERROR");
  EXPECT_NE(finding.remarks.front().find("were made by arena"), std::string::npos);
  EXPECT_ERROR(write_samples(text, folder.path()), "is there already");
}

}  // namespace
}  // namespace arena
