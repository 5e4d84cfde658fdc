#include "tasks/format/tsv.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16;
constexpr std::size_t kLongestLine = std::size_t{16} << 20;
constexpr std::size_t kLongestShown = 40;

std::string reason(archive* reader) {
  const char* const text = archive_error_string(reader);
  return text == nullptr ? "unknown cause" : text;
}

}  // namespace

void LineReader::Close::operator()(archive* reader) const {
  archive_read_free(reader);
}

LineReader::LineReader(std::string path) : path_(std::move(path)), reader_(archive_read_new()) {
  std::error_code ignored;  // what cannot be asked for cannot be opened either
  if (!std::filesystem::exists(path_, ignored)) {
    throw Error(fmt::format("there is no file '{}'", path_), Failure::kNoData);
  }
  check(!std::filesystem::is_directory(path_, ignored), "'{}' is a folder, not a file", path_);
  archive_read_support_filter_gzip(reader_.get());
  archive_read_support_format_raw(reader_.get());
  archive_read_support_format_empty(reader_.get());
  check(archive_read_open_filename(reader_.get(), path_.c_str(), kReadBytes) == ARCHIVE_OK,
        "cannot read '{}': {}", path_, reason(reader_.get()));
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(reader_.get(), &entry);
  check(status == ARCHIVE_OK || status == ARCHIVE_EOF, "cannot read '{}': {}", path_,
        reason(reader_.get()));
  ended_ = status == ARCHIVE_EOF;
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
  const std::size_t before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  const la_ssize_t count = archive_read_data(reader_.get(), buffer_.data() + before, kReadBytes);
  check(count >= 0, "{}: broken after line {}: {}", path_, line_, reason(reader_.get()));
  buffer_.resize(before + static_cast<std::size_t>(count));
  ended_ = count == 0;
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

std::string shown(std::string_view text) {
  std::string result = "'";
  for (const char c : text.substr(0, kLongestShown)) {
    if (c >= ' ' && c <= '~') {
      result += c;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return result + (text.size() > kLongestShown ? "...'" : "'");
}

}  // namespace arena
