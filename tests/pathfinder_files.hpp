#pragma once
// Small Pathfinder data sets in the official layout, written byte by byte.

#include <png.h>

#include <string>
#include <vector>

#include "tests/data_file.hpp"

namespace arena {

/// A PNG of these bytes [side, side].
inline std::string gray_png(std::uint32_t side, const std::vector<std::uint8_t>& pixels,
                            std::uint32_t format = PNG_FORMAT_GRAY) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = image.height = side;
  image.format = format;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string file(size, '\0');
  EXPECT_NE(png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr), 0);
  file.resize(size);
  return file;
}

/// Black but for one gray and one white pixel; no two numbers give the same.
inline std::vector<std::uint8_t> dotted_image(std::size_t side, std::size_t number) {
  std::vector<std::uint8_t> pixels(side * side);
  pixels[number] = 100;
  pixels[side * side - 1 - number % 7] = 255;
  return pixels;
}

inline std::string metadata_row(std::size_t number, int label, int contour_length = 14) {
  const std::string n = std::to_string(number);
  return "imgs/0 sample_" + n + ".png " + n + " " + std::to_string(label) + " 1.0 " +
         std::to_string(contour_length) + " 4 2 0.5 1 1\n";
}

/// `count` images of size 32, hard; labels 0, 1, 0, ... Names are those of the release.
inline std::vector<TarMember> pathfinder_members(std::size_t count) {
  const std::string set = "pathfinder32/curv_contour_length_14/";
  std::vector<TarMember> members;
  std::string metadata;
  for (std::size_t i = 0; i < count; ++i) {
    members.push_back(
        {set + "imgs/0/sample_" + std::to_string(i) + ".png", gray_png(32, dotted_image(32, i))});
    metadata += metadata_row(i, static_cast<int>(i % 2));
  }
  members.push_back({set + "metadata/0.npy", metadata});
  return members;
}

}  // namespace arena
