#include "tasks/format/tsv.hpp"

#include <archive_entry.h>
#include <fmt/format.h>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16;
constexpr std::size_t kLongestLine = std::size_t{16} << 20;

bool is_member(archive_entry* entry, const std::string& name) {
  const char* const path = archive_entry_pathname(entry);
  return path != nullptr && file_name(path) == name && archive_entry_filetype(entry) == AE_IFREG;
}

}  // namespace

LineReader::LineReader(const TextFile& file)
    : path_(file.path),
      reader_(open_archive(path_, file.member.empty() ? Contents::kStream : Contents::kTar)) {
  archive_entry* entry = next_entry(reader_, path_);
  ended_ = entry == nullptr;
  if (file.member.empty()) return;
  while (entry != nullptr && !is_member(entry, file.member)) entry = next_entry(reader_, path_);
  if (entry == nullptr) {
    throw Error(fmt::format("'{}' has no member {}", path_, file.member), Failure::kNoData);
  }
  path_ += ", " + file.member;
}

std::string LineReader::where() const {
  return fmt::format("{}:{}", path_, line_);
}

std::optional<std::string_view> LineReader::next() {
  std::size_t searched = 0;  // characters from begin_ on in which there is no newline
  while (true) {
    const std::size_t newline = buffer_.find('\n', begin_ + searched);
    if (newline != std::string::npos) return take(newline - begin_, 1);
    if (ended_) break;
    searched = buffer_.size() - begin_;
    check(searched <= kLongestLine, "{}:{}: a line of more than {} bytes", path_, line_ + 1,
          kLongestLine);
    read_more();
  }
  if (begin_ == buffer_.size()) return std::nullopt;
  return take(buffer_.size() - begin_, 0);
}

void LineReader::read_more() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  ended_ = !read_some(reader_, fmt::format("{}: broken after line {}", path_, line_), kReadBytes,
                      buffer_);
}

std::string_view LineReader::take(std::size_t count, std::size_t newline) {
  std::string_view line(buffer_.data() + begin_, count);
  begin_ += count + newline;
  ++line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::vector<std::string_view> tab_fields(std::string_view line) {
  std::vector<std::string_view> fields;
  std::size_t tab = 0;
  while ((tab = line.find('\t')) != std::string_view::npos) {
    fields.push_back(line.substr(0, tab));
    line.remove_prefix(tab + 1);
  }
  fields.push_back(line);
  return fields;
}

}  // namespace arena
