#pragma once
// CIFAR-10's binary version: files of records, a label byte and 3 x 1024 bytes red, green, blue.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

constexpr Index kCifar10Side = 32;
constexpr std::array<const char*, 10> kCifar10Classes = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

/// Long Range Arena's gray: the whole part of 255.5 (0.2989 r + 0.5870 g + 0.1140 b) / 255. In
/// exact arithmetic, so that every machine has the same data; float32 gives 168 of the 16.7 million
/// colours a neighbouring value.
constexpr std::uint8_t gray_of(int red, int green, int blue) {
  return static_cast<std::uint8_t>(511LL * (2989 * red + 5870 * green + 1140 * blue) / 5'100'000);
}

struct Cifar10Image {
  std::int32_t label = 0;                                        // 0 to 9
  std::array<std::uint8_t, kCifar10Side * kCifar10Side> gray{};  // row by row
  std::uint64_t content_hash = 0;                                // of the gray picture
};

struct Cifar10Data {
  std::vector<Cifar10Image> train{}, test{};  // in the order of the files
  std::uint64_t content_hash = 0;             // of all records
};

/// Reads data_batch_1.bin .. data_batch_5.bin and test_batch.bin, those that are there, of a folder
/// or a tar archive (plain, gzipped, xz'd). Throws Error naming file and place on a file that is no
/// whole number of records or has more than 10,000, on a label above 9, on a file that comes twice.
Cifar10Data read_cifar10(const std::string& path);

}  // namespace arena
