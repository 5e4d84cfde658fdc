// The release of Pathfinder: PNG, metadata, folders and tars, and the task made of them.

#include <gtest/gtest.h>

#include <set>

#include "expect_error.hpp"
#include "pathfinder_files.hpp"
#include "tasks/format/png.hpp"
#include "tasks/pathfinder/metadata.hpp"
#include "tasks/pathfinder/official.hpp"
#include "temporary_folder.hpp"

namespace arena {
namespace {

constexpr auto kHard = PathfinderDifficulty::kHard;

std::vector<std::uint8_t> decoded(const std::string& file, Index side) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(side * side));
  read_gray_png(file, "F", side, pixels);
  return pixels;
}

TEST(Png, GrayPixelsComeBack) {
  const std::vector<std::uint8_t> pixels = {0, 255, 7, 128};
  EXPECT_EQ(decoded(gray_png(2, pixels), 2), pixels);
}

TEST(Png, OtherAndBrokenFilesAreRefused) {
  const std::string good = gray_png(2, {1, 2, 3, 4});
  EXPECT_ERROR(decoded(good, 3), "F: another size; expected an 8-bit gray PNG of 3 x 3 pixels");
  EXPECT_ERROR(decoded(gray_png(1, {1, 2, 3}, PNG_FORMAT_RGB), 1), "F: not 8-bit gray");
  EXPECT_ERROR(decoded("", 2), "F: the file ends too early");
  EXPECT_ERROR(decoded("GIF89a, and so on", 2), "F: Not a PNG file");
  EXPECT_ERROR(decoded(good + "x", 2), "F: 1 bytes after the end of the PNG");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_ERROR(decoded(good.substr(0, size), 2), "F: ");
    std::string flipped = good;
    flipped[size] = static_cast<char>(flipped[size] ^ 0x10);
    EXPECT_ERROR(decoded(flipped, 2), "F: ") << size;
  }
}

/// A NumPy file of strings, as numpy.save writes them.
std::string numpy_array(const std::vector<std::vector<std::string>>& rows, const std::string& type,
                        std::size_t letters, bool by_columns = false) {
  const std::string shape =
      "(" + std::to_string(rows.size()) + ", " + std::to_string(rows.front().size()) + ")";
  std::string header = "{'descr': '" + type + std::to_string(letters) +
                       "', 'fortran_order': " + (by_columns ? "True" : "False") +
                       ", 'shape': " + shape + ", }";
  header.resize((header.size() + 10) / 64 * 64 + 64 - 10 - 1, ' ');
  header += '\n';
  std::string file = "\x93NUMPY";
  file += {1, 0, static_cast<char>(header.size()), static_cast<char>(header.size() >> 8U)};
  file += header;
  const auto add = [&](const std::string& text) {
    for (std::size_t i = 0; i < letters; ++i) {
      file += i < text.size() ? text[i] : '\0';
      if (type == "<U") file += std::string(3, '\0');
    }
  };
  const std::size_t cols = rows.front().size();
  for (std::size_t i = 0; i < rows.size() * cols; ++i) {
    add(by_columns ? rows[i % rows.size()][i / rows.size()] : rows[i / cols][i % cols]);
  }
  return file;
}

std::vector<PathfinderRow> parsed(const std::string& file) {
  return parse_pathfinder_metadata(file, "M", 14);
}

const std::vector<std::vector<std::string>> kTwoRows = {
    {"imgs/3", "sample_0.png", "0", "1", "1.0", "14", "4", "2", "0.5", "1", "1"},
    {"imgs/3", "sample_1.png", "1", "0", "1.0", "14", "4", "2", "0.5", "1", "1"}};

TEST(PathfinderMetadata, TextAndNumpyArraysSayTheSame) {
  std::string text;
  for (const auto& row : kTwoRows) {
    for (const std::string& field : row) text += field + " ";
    text.back() = '\n';
  }
  const std::string without_end = text.substr(0, text.size() - 1);
  for (const std::string& file :
       {text, without_end, numpy_array(kTwoRows, "<U", 21), numpy_array(kTwoRows, "|S", 12),
        numpy_array(kTwoRows, "<U", 12, true)}) {
    const std::vector<PathfinderRow> rows = parsed(file);
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].image, "imgs/3/sample_0.png");
    EXPECT_EQ(rows[0].label, 1);
    EXPECT_EQ(rows[1].image, "imgs/3/sample_1.png");
    EXPECT_EQ(rows[1].label, 0);
  }
}

TEST(PathfinderMetadata, BadRowsAreRefusedNamingThem) {
  const std::string good = metadata_row(0, 1);
  EXPECT_ERROR(parsed(""), "M: no rows");
  EXPECT_ERROR(parsed(good + "\n"), "M, row 1: 0 fields, expected 11");
  EXPECT_ERROR(parsed(good + "imgs/0 sample_1.png 1 1\n"), "M, row 1: 4 fields, expected 11");
  EXPECT_ERROR(parsed(metadata_row(0, 2)), "M, row 0: label '2', expected 0 or 1");
  EXPECT_ERROR(parsed(metadata_row(0, 1, 9)), "M, row 0: contours of '9' paddles, expected 14");
  const std::string rest = " 0 1 1.0 14 4 2 0.5 1 1\n";
  for (const std::string folder : {"../imgs", "imgs/..", "/etc", "imgs", "imgs/0/1", "imgs//0"}) {
    EXPECT_ERROR(parsed(folder + " a.png" + rest), "M, row 0: image folder '" + folder + "'");
  }
  for (const std::string file : {"../a.png", "..", "a/b.png", "/a.png", "\xc3\xa4.png"}) {
    EXPECT_ERROR(parsed("imgs/0 " + file + rest), "M, row 0: image file ");
  }
}

TEST(PathfinderMetadata, BadArraysAreRefused) {
  const std::string good = numpy_array(kTwoRows, "<U", 12);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_ERROR(parsed(good.substr(0, size)), "M");
  EXPECT_ERROR(parsed(good + "x"), "bytes of strings, expected 2 x 11 x 48");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string file = good;
    return file.replace(file.find(from), from.size(), to);
  };
  EXPECT_ERROR(parsed(with("'<U12'", "'<f8' ")), "M: NumPy array of ''<f8' ', expected strings");
  EXPECT_ERROR(parsed(with("'<U12'", "'>U12'")), "expected strings");
  EXPECT_ERROR(parsed(with("'descr'", "'d'    ")), "M: the NumPy header has no 'descr'");
  EXPECT_ERROR(parsed(with("(2, 11)", "(22, 1)")), "M: 1 columns, expected 11");
  EXPECT_ERROR(parsed(with("(2, 11)", "(11,)  ")), "in the NumPy header, expected a number");
  EXPECT_ERROR(parsed(with("(2, 11)", "(-2,11)")), "in the NumPy header, expected a number");
  EXPECT_ERROR(parsed(with("NUMPY\x01", "NUMPY\x07")), "M: NumPy format 7, expected 1 to 3");
  EXPECT_ERROR(parsed(with("U12", "U99999999999999999999")), "");
}

/// The same set as a folder and as a tar.gz whose metadata comes first.
class PathfinderSet : public testing::Test {
 protected:
  explicit PathfinderSet(std::vector<TarMember> members = pathfinder_members(60))
      : members_(std::move(members)) {}

  std::string folder() const { return place_.path() + "/pathfinder32/curv_contour_length_14"; }
  std::string tar() const { return place_.path() + "/pathfinder32-curv_contour_length_14.tar.gz"; }
  void write_folder() const {
    for (const TarMember& m : members_) write_file(place_.path() + "/" + m.name, m.content);
  }
  void write_archive() const { write_tar(tar(), members_); }
  TarMember& metadata() { return members_.back(); }
  PathfinderFiles read() const {
    write_archive();
    return read_pathfinder_files(tar(), 32, kHard);
  }
  std::unique_ptr<Task> make(const OptionTexts& texts) const {
    const TaskInfo& info = Registry<TaskInfo>::find("pathfinder");
    OptionTexts all = texts;
    all["data"] = "official";
    return info.make({.data_dir = place_.path()}, Options("pathfinder", info.options, all));
  }

  TemporaryFolder place_{};
  std::vector<TarMember> members_;
};

TEST_F(PathfinderSet, FolderAndTarAreAlike) {
  write_folder();
  const PathfinderFiles unpacked = read_pathfinder_files(folder(), 32, kHard);
  std::rotate(members_.begin(), members_.end() - 1, members_.end());
  const PathfinderFiles packed = read();
  EXPECT_EQ(unpacked.content_hash, packed.content_hash);
  ASSERT_EQ(packed.images.size(), 60U);
  ASSERT_EQ(unpacked.images.size(), 60U);
  for (std::size_t i = 0; i < 60; ++i) {
    EXPECT_EQ(packed.images[i].label, unpacked.images[i].label);
    EXPECT_EQ(packed.images[i].content_hash, unpacked.images[i].content_hash);
  }
  EXPECT_EQ(packed.empty, 0);
  EXPECT_DOUBLE_EQ(packed.lit, 2.0 / 1024);
}

TEST_F(PathfinderSet, TheEmptyFileIsLeftOutAndCounted) {
  members_[17].content = "";
  const PathfinderFiles files = read();
  EXPECT_EQ(files.images.size(), 59U);
  EXPECT_EQ(files.empty, 1);
  EXPECT_EQ(make({{"partial", "true"}})->counts().at("empty files, left out"), 1);
}

TEST_F(PathfinderSet, OfTheWholeReleaseTheGoodCopyIsRead) {
  std::vector<TarMember> release;
  for (TarMember member : members_) {
    release.push_back({"lra_release/lra_release/" + member.name, member.content});
    member.name = "lra_release/" + member.name;
    member.content = "not read";
    release.push_back(member);
    member.name.replace(member.name.find("_14"), 3, "_9");
    release.push_back(member);
  }
  const std::uint64_t hash = read().content_hash;
  write_tar(place_.path() + "/lra_release.gz", release);
  EXPECT_EQ(read_pathfinder_files(place_.path() + "/lra_release.gz", 32, kHard).content_hash, hash);
}

TEST_F(PathfinderSet, BehindEnoughImagesAndRowsNothingIsRead) {
  const std::string release = place_.path() + "/lra_release.gz";
  std::vector<TarMember> more = members_;
  more.push_back(members_.front());  // which would be refused
  write_tar(release, more);
  EXPECT_ERROR(read_pathfinder_files(release, 32, kHard), "the file comes a second time");
  EXPECT_ERROR(read_pathfinder_files(release, 32, kHard, 61), "the file comes a second time");
  EXPECT_EQ(read_pathfinder_files(release, 32, kHard, 60).content_hash, read().content_hash);
}

TEST_F(PathfinderSet, FaultsAreRefusedNamingThePlace) {
  const std::vector<TarMember> good = members_;
  const auto refused = [&](const std::string& message) {
    EXPECT_ERROR(read(), message);
    members_ = good;
  };
  members_[3].content = gray_png(64, dotted_image(64, 3));
  refused("image 'imgs/0/sample_3.png': another size; expected an 8-bit gray PNG of 32 x 32");
  members_[3].content = gray_png(32, std::vector<std::uint8_t>(1024, 7));
  refused("image 'imgs/0/sample_3.png': the brightest pixel is 7, expected 255");
  members_[3].content.resize(40);
  refused("image 'imgs/0/sample_3.png': the file ends too early");
  members_[3].content.resize(10'000);
  refused("imgs/0/sample_3.png': 10000 bytes, expected at most 6144");
  members_[3] = members_[4];
  refused("imgs/0/sample_4.png': the file comes a second time");
  members_[3].name = "other";
  refused("the metadata has a row of 'imgs/0/sample_3.png', which is not there");
  metadata().content.resize(metadata().content.find("imgs/0 sample_59"));
  refused("image 'imgs/0/sample_59.png' has no row in the metadata");
  metadata().content += metadata_row(7, 1);
  refused("metadata/0.npy': 'imgs/0/sample_7.png' has a second row");
  metadata().content += metadata_row(60, 1, 6);
  refused("metadata/0.npy', row 60: contours of '6' paddles, expected 14");
  members_.push_back({"../outside.png", "x"});
  refused("member '../outside.png': its name leads out of the archive");
}

TEST_F(PathfinderSet, ASubsetIsToldAndOnlyTakenWhenAskedFor) {
  write_archive();
  const auto error = error_of([&] { make({}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kNoData);
  EXPECT_ERROR(make({}), "has 60 images, the whole data set 200000; task.partial=true accepts a");
  const auto task = make({{"partial", "true"}});
  EXPECT_TRUE(task->partial());
  EXPECT_EQ(task->size(Split::kTrain), 48);
  EXPECT_EQ(task->size(Split::kValidation), 6);
  EXPECT_EQ(task->size(Split::kTest), 6);
}

TEST_F(PathfinderSet, SamplesAreThePixelsOfAllImagesOnce) {
  write_archive();
  const auto task = make({{"partial", "true"}});
  std::set<std::vector<std::int32_t>> seen;
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    Index ones = 0;
    for (Index i = 0; i < task->size(split); ++i) {
      const Sample sample = task->sample(split, i);
      ASSERT_EQ(sample.tokens.size(), 1024U);
      const auto gray = std::ranges::find(sample.tokens, 100) - sample.tokens.begin();
      EXPECT_EQ(sample.labels, std::vector<std::int32_t>{static_cast<std::int32_t>(gray % 2)});
      EXPECT_EQ(sample.grid, (std::array<Index, 2>{32, 32}));
      EXPECT_TRUE(seen.insert(sample.tokens).second);
      ones += sample.labels.front();
    }
    EXPECT_EQ(2 * ones, task->size(split)) << "stratified";
  }
  EXPECT_EQ(seen.size(), 60U);
}

TEST_F(PathfinderSet, OptionsOfGeneratedDataAreRefused) {
  write_archive();
  EXPECT_ERROR(make({{"partial", "true"}, {"data_seed", "1"}}),
               "pathfinder: examples and data_seed are for data=generated");
  EXPECT_ERROR(make({{"partial", "true"}, {"examples", "1000"}}),
               "pathfinder: examples and data_seed are for data=generated");
}

TEST_F(PathfinderSet, SaysWhereItLookedAndHowToGetTheData) {
  const auto error = error_of([&] { make({}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kNoData);
  const std::string message = error->what();
  for (const std::string& part :
       {place_.path(), std::string("lra_release/lra_release/pathfinder32/curv_contour_length_14"),
        std::string("arena data get lra")}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace arena
