// CIFAR-10 files and the task made of them.

#include <gtest/gtest.h>
#include <stdlib.h>

#include "expect_error.hpp"
#include "small_data.hpp"
#include "tasks/format/cifar10.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/format/labelled_set.hpp"
#include "tasks/task.hpp"

namespace arena {
namespace {

std::unique_ptr<Task> make_image(const std::string& data_dir, const OptionTexts& options) {
  const TaskInfo& info = Registry<TaskInfo>::find("image");
  return info.make({.data_dir = data_dir}, Options("image", info.options, options));
}

TEST(Cifar10, GrayHasThePublishedValues) {
  struct Golden {
    int red, green, blue, gray;
  };
  for (const auto& [red, green, blue, gray] :
       {Golden{255, 255, 255, 255}, Golden{128, 128, 128, 128}, Golden{255, 0, 0, 76},
        Golden{0, 255, 0, 149}, Golden{0, 0, 255, 29}, Golden{59, 62, 63, 61},
        Golden{10, 20, 30, 18}, Golden{200, 100, 50, 124}}) {
    EXPECT_EQ(gray_of(red, green, blue), gray) << red << ' ' << green << ' ' << blue;
  }
}

/// float32, in the order of the formula, against exact arithmetic: never further than one apart.
TEST(Cifar10, GrayIsThatOfFloat32ButForRounding) {
  Index different = 0;
  Index all = 0;
  for (int red = 0; red < 256; red += 3) {
    for (int green = 0; green < 256; green += 3) {
      for (int blue = 0; blue < 256; ++blue, ++all) {
        const auto part = [](int byte) { return static_cast<float>(byte) / 255.0F; };
        const float sum = 0.2989F * part(red) + 0.5870F * part(green) + 0.1140F * part(blue);
        const int gray = static_cast<int>(255.5F * sum);
        ASSERT_LE(std::abs(gray - gray_of(red, green, blue)), 1);
        different += gray == gray_of(red, green, blue) ? 0 : 1;
      }
    }
  }
  EXPECT_LT(static_cast<double>(different), 1e-3 * static_cast<double>(all));
}

/// Of a record: label, then all of red, of green, of blue, each row by row.
std::string one_record(char label, int red, int green, int blue) {
  std::string record(1, label);
  for (const int value : {red, green, blue}) record += std::string(1024, static_cast<char>(value));
  return record;
}

TEST(Cifar10, RecordsAreReadFromFolderAndArchiveAlike) {
  const TemporaryFolder folder;
  std::string odd = one_record(9, 255, 0, 0);
  odd[1 + 2 * 1024 + 33] = static_cast<char>(255);  // blue of row 1, column 1
  const std::vector<TarMember> members{{"c/test_batch.bin", one_record(3, 10, 20, 30)},
                                       {"c/readme.html", "not read"},
                                       {"c/data_batch_2.bin", one_record(1, 0, 255, 0)},
                                       {"c/data_batch_1.bin", odd + one_record(2, 0, 0, 255)}};
  for (const TarMember& member : members) {
    write_file(folder.path() + "/" + member.name, member.content);
  }
  write_tar(folder.path() + "/c.tar.gz", members);
  const Cifar10Data unpacked = read_cifar10(folder.path() + "/c");
  const Cifar10Data packed = read_cifar10(folder.path() + "/c.tar.gz");
  EXPECT_EQ(unpacked.content_hash, packed.content_hash);
  for (const Cifar10Data& data : {unpacked, packed}) {
    ASSERT_EQ(data.train.size(), 3U);
    ASSERT_EQ(data.test.size(), 1U);
    EXPECT_EQ(data.train[0].label, 9);
    EXPECT_EQ(data.train[0].gray[32], 76);
    EXPECT_EQ(data.train[0].gray[33], gray_of(255, 0, 255));
    EXPECT_EQ(data.train[1].label, 2);
    EXPECT_EQ(data.train[2].gray[1023], 149);
    EXPECT_EQ(data.test[0].label, 3);
    EXPECT_EQ(data.test[0].gray[0], 18);
  }
}

TEST(Cifar10, BadFilesAreRefusedNamingThePlace) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& content, const std::string& message) {
    write_tar(folder.path() + "/c.tar.gz", {{"c/test_batch.bin", content}});
    EXPECT_ERROR(read_cifar10(folder.path() + "/c.tar.gz"),
                 "'" + folder.path() + "/c.tar.gz', member 'c/test_batch.bin'" + message);
  };
  const std::string good = one_record(3, 1, 2, 3);
  refused(good + good.substr(1), ": 6145 bytes, expected a multiple of 3073");
  refused("", ": 0 bytes, expected a multiple of 3073");
  refused(good + one_record(10, 1, 2, 3), ", byte 3073: label 10 of record 1, expected 0 to 9");
  refused(std::string(10'001 * 3073, '\0'), ": more than 30730000 bytes");
  write_tar(folder.path() + "/c.tar.gz", {{"a/test_batch.bin", good}, {"b/test_batch.bin", good}});
  EXPECT_ERROR(read_cifar10(folder.path() + "/c.tar.gz"),
               "member 'b/test_batch.bin': the file comes a second time");
}

TEST(Image, ASubsetIsToldAndOnlyTakenWhenAskedFor) {
  const auto error = error_of([] { make_image(small_data_dir(), {}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kNoData);
  EXPECT_ERROR(make_image(small_data_dir(), {}),
               "has 100 training images, the whole data set 50000; task.partial=true accepts a "
               "subset");
  const auto task = make_image(small_data_dir(), {{"partial", "true"}});
  EXPECT_TRUE(task->partial());
  EXPECT_EQ(task->size(Split::kTrain), 90);
  EXPECT_EQ(task->size(Split::kValidation), 10);
  EXPECT_EQ(task->size(Split::kTest), 30);
}

TEST(Image, MoreThanTheDataSetAndNothingAreRefused) {
  const PartCount more[] = {{"test images", 10'001, 10'000}};
  EXPECT_ERROR(is_subset("image", "here", more, true),
               "image: 'here' has 10001 test images, more than the 10000 of the data set");
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() + "/cifar-10-batches-bin");
  const auto error = error_of([&] { make_image(folder.path(), {{"partial", "true"}}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kNoData);
  EXPECT_STREQ(
      error->what(),
      ("image: '" + folder.path() + "/cifar-10-batches-bin' has no training images").c_str());
}

TEST(DataFolder, IsThatOfTheEnvironmentOrTheCache) {
  ASSERT_EQ(::setenv("ARENA_DATA", small_data_dir().c_str(), 1), 0);
  EXPECT_EQ(default_data_dir(), small_data_dir());
  EXPECT_EQ(make_image("", {{"partial", "true"}})->size(Split::kTest), 30);
  ASSERT_EQ(::setenv("ARENA_DATA", "", 1), 0);
  ASSERT_EQ(::setenv("HOME", "/home/someone", 1), 0);
  EXPECT_EQ(default_data_dir(), "/home/someone/.cache/arena");
}

TEST(Image, TheWholeSetIsSplitAsPublished) {
  const TemporaryFolder folder;
  for (unsigned batch = 1; batch <= 5; ++batch) {
    write_file(folder.path() + "/cifar10/cifar-10-batches-bin/data_batch_" + std::to_string(batch) +
                   ".bin",
               cifar10_records(10'000, batch));
  }
  write_file(folder.path() + "/cifar10/cifar-10-batches-bin/test_batch.bin",
             cifar10_records(10'000, 6));
  const auto task = make_image(folder.path(), {});
  EXPECT_FALSE(task->partial());
  EXPECT_EQ(task->size(Split::kTrain), 45'000);
  EXPECT_EQ(task->size(Split::kValidation), 5'000);
  EXPECT_EQ(task->size(Split::kTest), 10'000);
  std::array<Index, 10> counts{};
  for (Index i = 0; i < 5'000; ++i) {
    ++counts[static_cast<std::size_t>(task->sample(Split::kValidation, i).labels.front())];
  }
  for (const Index count : counts) EXPECT_EQ(count, 500);
}

TEST(Image, SamplesAreTheGrayPixelsWithTheirGrid) {
  const TemporaryFolder folder;
  const std::string set = folder.path() + "/cifar-10-batches-bin/";
  write_file(set + "data_batch_1.bin", cifar10_records(20, 1));
  write_file(set + "test_batch.bin", one_record(7, 0, 0, 0) + one_record(4, 255, 255, 255));
  const auto task = make_image(folder.path(), {{"partial", "true"}});
  const Sample black = task->sample(Split::kTest, 0);
  EXPECT_EQ(black.tokens, std::vector<std::int32_t>(1024, 0));
  EXPECT_EQ(black.labels, std::vector<std::int32_t>{7});
  EXPECT_EQ(black.grid, (std::array<Index, 2>{32, 32}));
  EXPECT_EQ(task->describe(black).find("█"), std::string::npos);
  const Sample white = task->sample(Split::kTest, 1);
  EXPECT_EQ(white.tokens, std::vector<std::int32_t>(1024, 255));
  EXPECT_NE(task->describe(white).find("█"), std::string::npos);
  EXPECT_NE(task->describe(white).find("deer"), std::string::npos);
}

TEST(Image, SaysWhereItLookedAndHowToGetTheData) {
  const TemporaryFolder folder;
  const auto error = error_of([&] { make_image(folder.path(), {}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->failure(), Failure::kNoData);
  const std::string message = error->what();
  for (const std::string& part : {folder.path(), std::string("cifar-10-batches-bin"),
                                  std::string("arena data get cifar10")}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  const std::string record = one_record(0, 0, 0, 0);
  write_tar(folder.path() + "/cifar-10-binary.tar.gz", {{"c/test_batch.bin", record}});
  write_tar(folder.path() + "/cifar-10-binary-copy.tar.gz", {{"c/test_batch.bin", record}});
  EXPECT_ERROR(make_image(folder.path(), {}), "could both be the data; leave one of them there");
}

}  // namespace
}  // namespace arena
