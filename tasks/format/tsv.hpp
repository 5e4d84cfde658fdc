#pragma once
// Text files line by line, plain or packed, and their tab-separated fields.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/matrix.hpp"
#include "tasks/format/archive.hpp"

namespace arena {

/// A text file, or one in a tar archive.
struct TextFile {
  std::string path;
  std::string member{};  // its name, in whatever folder; "": the file is no archive
};

/// Lines of a file, whether it is gzipped, xz'd or neither (its content tells, not its name). Every
/// error is an Error that names the file, and the line where there is one.
class LineReader {
 public:
  /// Throws Error with Failure::kNoData where there is no such file or member.
  explicit LineReader(const TextFile& file);
  explicit LineReader(const std::string& path) : LineReader(TextFile{path}) {}

  /// The next line without its LF or CRLF, valid until the next call; nullopt at the end. A last
  /// line need not end in a newline. Throws Error on a broken file or a line above 16 MiB.
  std::optional<std::string_view> next();

  const std::string& path() const { return path_; }
  /// "FILE:LINE" of the line that next() gave last.
  std::string where() const;

 private:
  void read_more();
  std::string_view take(std::size_t count, std::size_t newline);

  std::string path_;
  ArchiveHandle reader_;
  std::string buffer_{};  // what was read; lines before begin_ are done
  std::size_t begin_ = 0;
  bool ended_ = false;
  Index line_ = 0;
};

/// The fields between tabs, at least one.
std::vector<std::string_view> tab_fields(std::string_view line);

}  // namespace arena
