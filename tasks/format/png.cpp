#include "tasks/format/png.hpp"

#include <png.h>

#include <array>
#include <csetjmp>
#include <cstring>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr int kGrayBits = 8;

/// What libpng's callbacks share: the file, how much of it was read, the first complaint.
struct Input {
  std::string_view rest;
  std::array<char, 128> fault{};
};

void take_bytes(png_structp png, png_bytep out, std::size_t count) {
  Input& input = *static_cast<Input*>(png_get_io_ptr(png));
  if (count > input.rest.size()) png_error(png, "the file ends too early");
  std::memcpy(out, input.rest.data(), count);
  input.rest.remove_prefix(count);
}

[[noreturn]] void stop(png_structp png, png_const_charp message) {
  Input& input = *static_cast<Input*>(png_get_error_ptr(png));
  std::strncpy(input.fault.data(), message, input.fault.size() - 1);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
};

/// false where libpng gave up; nothing in here has a destructor, for libpng leaves by longjmp.
bool read_image(const Reader& reader, Index side, std::uint8_t* pixels) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_info(reader.png, reader.info);
  if (png_get_color_type(reader.png, reader.info) != PNG_COLOR_TYPE_GRAY ||
      png_get_bit_depth(reader.png, reader.info) != kGrayBits) {
    png_error(reader.png, "not 8-bit gray");
  }
  if (static_cast<Index>(png_get_image_width(reader.png, reader.info)) != side ||
      static_cast<Index>(png_get_image_height(reader.png, reader.info)) != side) {
    png_error(reader.png, "another size");
  }
  const int passes = png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  for (int pass = 0; pass < passes; ++pass) {
    for (Index y = 0; y < side; ++y) png_read_row(reader.png, pixels + y * side, nullptr);
  }
  png_read_end(reader.png, nullptr);
  return true;
}

}  // namespace

void read_gray_png(std::string_view file, const std::string& where, Index side,
                   std::span<std::uint8_t> pixels) {
  check(static_cast<Index>(pixels.size()) == side * side, "{}: {} bytes for {} x {} pixels", where,
        pixels.size(), side, side);
  Input input{.rest = file};
  Reader reader{.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &input, stop, ignore_warning)};
  check(reader.png != nullptr, "libpng does not start: its headers are of another version");
  reader.info = png_create_info_struct(reader.png);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_read_fn(reader.png, &input, take_bytes);
  const bool whole = reader.info != nullptr && read_image(reader, side, pixels.data());
  png_destroy_read_struct(&reader.png, &reader.info, nullptr);
  check(whole, "{}: {}; expected an 8-bit gray PNG of {} x {} pixels", where, input.fault.data(),
        side, side);
  check(input.rest.empty(), "{}: {} bytes after the end of the PNG", where, input.rest.size());
}

std::string write_gray_png(Index side, std::span<const std::uint8_t> pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = image.height = static_cast<png_uint_32>(side);
  image.format = PNG_FORMAT_GRAY;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string file(bytes, '\0');
  check(
      static_cast<Index>(pixels.size()) == side * side &&
          png_image_write_to_memory(&image, file.data(), &bytes, 0, pixels.data(), 0, nullptr) != 0,
      "libpng cannot write an image of {} x {} pixels: {}", side, side, image.message);
  file.resize(bytes);
  return file;
}

}  // namespace arena
