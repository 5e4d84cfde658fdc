#include "tasks/format/cifar10.hpp"

#include <algorithm>
#include <string_view>

#include "harness/core/check.hpp"
#include "harness/core/hash.hpp"
#include "tasks/format/archive.hpp"

namespace arena {
namespace {

constexpr std::size_t kPixels = kCifar10Side * kCifar10Side;
constexpr std::size_t kRecordBytes = 1 + 3 * kPixels;
constexpr std::size_t kMostRecords = 10'000;  // of a file

/// In the order of the data set; the last is the test part.
constexpr std::array<std::string_view, 6> kFiles = {"data_batch_1.bin", "data_batch_2.bin",
                                                    "data_batch_3.bin", "data_batch_4.bin",
                                                    "data_batch_5.bin", "test_batch.bin"};

std::size_t index_of(std::string_view file) {
  return static_cast<std::size_t>(std::ranges::find(kFiles, file) - kFiles.begin());
}

Cifar10Image image_of(std::string_view record) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(record[at]); };
  Cifar10Image image{.label = byte(0)};
  for (std::size_t p = 0; p < kPixels; ++p) {
    image.gray[p] = gray_of(byte(1 + p), byte(1 + kPixels + p), byte(1 + 2 * kPixels + p));
  }
  image.content_hash = fnv1a(std::span<const std::uint8_t>(image.gray));
  return image;
}

void append_images(std::string_view content, const std::string& where,
                   std::vector<Cifar10Image>& images) {
  check(!content.empty() && content.size() % kRecordBytes == 0,
        "{}: {} bytes, expected a multiple of {} (a record)", where, content.size(), kRecordBytes);
  for (std::size_t at = 0; at < content.size(); at += kRecordBytes) {
    const Cifar10Image image = image_of(content.substr(at, kRecordBytes));
    check(image.label < static_cast<std::int32_t>(kCifar10Classes.size()),
          "{}, byte {}: label {} of record {}, expected 0 to 9", where, at, image.label,
          at / kRecordBytes);
    images.push_back(image);
  }
}

}  // namespace

Cifar10Data read_cifar10(const std::string& path) {
  MemberReader reader(path, {.bytes = kMostRecords * kRecordBytes, .wanted = [](auto name) {
                               return index_of(file_name(name)) < kFiles.size();
                             }});
  std::array<std::string, kFiles.size()> contents, places;
  while (std::optional<Member> member = reader.next()) {
    const std::size_t file = index_of(file_name(member->name));
    check(places[file].empty(), "{}: the file comes a second time", reader.where(*member));
    places[file] = reader.where(*member);
    contents[file] = std::move(member->content);
  }
  Cifar10Data data{.content_hash = kFnvStart};
  for (std::size_t file = 0; file < kFiles.size(); ++file) {
    if (places[file].empty()) continue;
    append_images(contents[file], places[file], file + 1 < kFiles.size() ? data.train : data.test);
    data.content_hash = fnv1a(contents[file], fnv1a(kFiles[file], data.content_hash));
  }
  return data;
}

}  // namespace arena
