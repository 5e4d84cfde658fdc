#include "tasks/pathfinder/metadata.hpp"

#include <algorithm>
#include <charconv>

#include "harness/core/check.hpp"
#include "tasks/format/text.hpp"

namespace arena {
namespace {

constexpr std::size_t kFields = 11;
constexpr std::size_t kFolderField = 0, kFileField = 1, kLabelField = 3, kLengthField = 5;
constexpr std::string_view kMagic = "\x93NUMPY";

using Fields = std::vector<std::string>;

bool is_path_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

/// A name of a file or folder that leads nowhere else.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && std::ranges::all_of(name, is_path_letter);
}

PathfinderRow row_of(const Fields& fields, const std::string& where, Index contour_length) {
  check(fields.size() == kFields, "{}: {} fields, expected {}", where, fields.size(), kFields);
  const std::string& folder = fields[kFolderField];
  const std::size_t slash = folder.find('/');
  check(slash != std::string::npos && is_plain_name(folder.substr(0, slash)) &&
            is_plain_name(folder.substr(slash + 1)),
        "{}: image folder {}, expected one like 'imgs/0'", where, shown(folder));
  check(is_plain_name(fields[kFileField]), "{}: image file {}, expected one like 'sample_0.png'",
        where, shown(fields[kFileField]));
  const std::string& label = fields[kLabelField];
  check(label == "0" || label == "1", "{}: label {}, expected 0 or 1", where, shown(label));
  check(fields[kLengthField] == std::to_string(contour_length),
        "{}: contours of {} paddles, expected {}", where, shown(fields[kLengthField]),
        contour_length);
  return {folder + "/" + fields[kFileField], label == "1" ? 1 : 0};
}

std::vector<Fields> text_rows(std::string_view file) {
  std::vector<Fields> rows;
  while (!file.empty()) {
    std::string_view line = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(file.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    Fields fields;
    while (!line.empty()) {
      const std::string_view word = line.substr(0, line.find(' '));
      line.remove_prefix(std::min(line.size(), word.size() + 1));
      if (!word.empty()) fields.emplace_back(word);
    }
    rows.push_back(std::move(fields));
  }
  return rows;
}

/// What stands behind a key of the header {'descr': '<U21', 'fortran_order': False, 'shape': (3,
/// 11)}
std::string_view header_value(std::string_view header, std::string_view key,
                              const std::string& where) {
  const std::size_t found = header.find(key);
  check(found != std::string_view::npos, "{}: the NumPy header has no {}", where, key);
  std::string_view rest = header.substr(found + key.size());
  const std::size_t begin = rest.find_first_not_of(" :");
  check(begin != std::string_view::npos, "{}: the NumPy header has no value of {}", where, key);
  return rest.substr(begin);
}

std::size_t number(std::string_view& text, const std::string& where) {
  std::size_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  constexpr std::size_t kMost = std::size_t{1} << 24;
  check(fault == std::errc() && value > 0 && value <= kMost,
        "{}: {} in the NumPy header, expected a number from 1 to {}", where, shown(text), kMost);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

struct StringArray {
  std::size_t rows = 0, cols = 0;
  std::size_t letters = 0;  // of each string, with zeros behind shorter ones
  std::size_t letter_bytes = 0;
  bool by_columns = false;
  std::string_view data{};
};

StringArray parse_array(std::string_view file, const std::string& where) {
  // Magic, version (2 bytes), length of the header (2 bytes little-endian in version 1, 4 later).
  constexpr std::size_t kVersionAt = kMagic.size();
  constexpr std::size_t kLengthAt = kVersionAt + 2;
  check(file.size() > kLengthAt + 4, "{}: {} bytes, cut off in the NumPy header", where,
        file.size());
  const int version = static_cast<unsigned char>(file[kVersionAt]);
  check(version >= 1 && version <= 3, "{}: NumPy format {}, expected 1 to 3", where, version);
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::size_t length = 0;
  for (std::size_t i = length_bytes; i-- > 0;) {
    length = length << 8 | static_cast<unsigned char>(file[kLengthAt + i]);
  }
  const std::size_t header_at = kLengthAt + length_bytes;
  check(length <= file.size() - header_at, "{}: cut off in the NumPy header", where);
  const std::string_view header = file.substr(header_at, length);

  StringArray array{.data = file.substr(header_at + length)};
  std::string_view type = header_value(header, "'descr'", where);
  const std::size_t kind = type.find_first_of("SU");
  check(type.starts_with('\'') && kind != std::string_view::npos && kind <= 2 && type[1] != '>',
        "{}: NumPy array of {}, expected strings", where, shown(type.substr(0, type.find(','))));
  array.letter_bytes = type[kind] == 'U' ? 4 : 1;
  type.remove_prefix(kind + 1);
  array.letters = number(type, where);
  array.by_columns = header_value(header, "'fortran_order'", where).starts_with("True");
  std::string_view shape = header_value(header, "'shape'", where);
  check(shape.starts_with('('), "{}: no shape in the NumPy header", where);
  shape.remove_prefix(1);
  array.rows = number(shape, where);
  shape.remove_prefix(std::min(shape.size(), shape.find_first_not_of(", ")));
  array.cols = number(shape, where);
  return array;
}

std::vector<Fields> array_rows(std::string_view file, const std::string& where) {
  const StringArray array = parse_array(file, where);
  const std::size_t width = array.letters * array.letter_bytes;
  check(array.cols == kFields, "{}: {} columns, expected {}", where, array.cols, kFields);
  check(array.data.size() == array.rows * array.cols * width,
        "{}: {} bytes of strings, expected {} x {} x {}", where, array.data.size(), array.rows,
        array.cols, width);
  std::vector<Fields> rows(array.rows, Fields(array.cols));
  for (std::size_t i = 0; i < array.rows * array.cols; ++i) {
    const std::size_t row = array.by_columns ? i % array.rows : i / array.cols;
    const std::size_t col = array.by_columns ? i / array.rows : i % array.cols;
    const std::string_view letters = array.data.substr(i * width, width);
    for (std::size_t at = 0; at < width; at += array.letter_bytes) {
      if (letters.substr(at, array.letter_bytes).find_first_not_of('\0') == std::string_view::npos)
        break;
      const bool ascii = static_cast<unsigned char>(letters[at]) < 128 &&
                         letters.substr(at + 1, array.letter_bytes - 1).find_first_not_of('\0') ==
                             std::string_view::npos;
      rows[row][col] += ascii ? letters[at] : '\xff';  // which no field may have
    }
  }
  return rows;
}

}  // namespace

std::vector<PathfinderRow> parse_pathfinder_metadata(std::string_view file,
                                                     const std::string& where,
                                                     Index contour_length) {
  const std::vector<Fields> all =
      file.starts_with(kMagic) ? array_rows(file, where) : text_rows(file);
  check(!all.empty(), "{}: no rows", where);
  std::vector<PathfinderRow> rows;
  rows.reserve(all.size());
  for (const Fields& fields : all) {
    rows.push_back(row_of(fields, fmt::format("{}, row {}", where, rows.size()), contour_length));
  }
  return rows;
}

}  // namespace arena
