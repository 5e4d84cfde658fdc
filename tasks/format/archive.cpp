#include "tasks/format/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "harness/core/check.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = std::size_t{1} << 16;

std::string reason(const ArchiveHandle& reader) {
  const char* const text = archive_error_string(reader.get());
  return text == nullptr ? "damaged or cut off" : text;
}

void require_present(const std::string& path) {
  std::error_code ignored;  // what cannot be asked for cannot be opened either
  if (!fs::exists(path, ignored)) {
    throw Error(fmt::format("there is no file '{}'", path), Failure::kNoData);
  }
}

/// Whether a member of this name would lie outside of the folder it is unpacked in.
bool leads_out(const fs::path& name) {
  return name.is_absolute() || std::ranges::find(name, fs::path("..")) != name.end();
}

std::string where_of(const std::string& path, const std::string& name) {
  return fmt::format("'{}', member '{}'", path, name);
}

void check_size(std::size_t size, std::size_t limit, const std::string& where) {
  check(size <= limit, "{}: more than {} bytes", where, limit);
}

std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;  // a dangling link is no file
    if (!entry->is_regular_file(ignored)) continue;
    names.push_back(entry->path().lexically_relative(folder).generic_string());
  }
  check(!error, "cannot read folder '{}': {}", folder, error.message());
  std::ranges::sort(names);
  return names;
}

}  // namespace

void CloseArchive::operator()(archive* reader) const {
  archive_read_free(reader);
}

ArchiveHandle open_archive(const std::string& path, Contents contents) {
  require_present(path);
  std::error_code ignored;
  check(!fs::is_directory(path, ignored), "'{}' is a folder, not a file", path);
  ArchiveHandle reader(archive_read_new());
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_xz(reader.get());
  if (contents == Contents::kTar) {
    archive_read_support_format_tar(reader.get());
  } else {
    archive_read_support_format_raw(reader.get());
    archive_read_support_format_empty(reader.get());
  }
  check(archive_read_open_filename(reader.get(), path.c_str(), kReadBytes) == ARCHIVE_OK,
        "cannot read '{}': {}", path, reason(reader));
  return reader;
}

archive_entry* next_entry(const ArchiveHandle& reader, const std::string& path) {
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(reader.get(), &entry);
  if (status == ARCHIVE_EOF) return nullptr;
  // A warning may be no more than a name that this locale cannot show.
  check(status == ARCHIVE_OK || status == ARCHIVE_WARN, "cannot read '{}': {}", path,
        reason(reader));
  return entry;
}

bool read_some(const ArchiveHandle& reader, const std::string& where, std::size_t count,
               std::string& out) {
  const std::size_t before = out.size();
  out.resize(before + count);
  const la_ssize_t read = archive_read_data(reader.get(), out.data() + before, count);
  check(read >= 0, "{}: {}", where, reason(reader));
  out.resize(before + static_cast<std::size_t>(read));
  return read > 0;
}

std::string_view file_name(std::string_view name) {
  return name.substr(name.rfind('/') + 1);
}

MemberReader::MemberReader(std::string path, Limits limits)
    : path_(std::move(path)), limits_(std::move(limits)) {
  std::error_code ignored;
  if (fs::is_directory(path_, ignored)) {
    files_ = files_of(path_);
  } else {
    reader_ = open_archive(path_, Contents::kTar);
  }
}

std::string MemberReader::where(const Member& member) const {
  return where_of(path_, member.name);
}

std::optional<Member> MemberReader::next() {
  return reader_ ? next_of_archive() : next_of_folder();
}

std::optional<Member> MemberReader::next_of_folder() {
  while (next_file_ < files_.size()) {
    Member member{.name = files_[next_file_++], .content = ""};
    if (!limits_.wanted(member.name)) continue;
    const fs::path file = fs::path(path_) / member.name;
    std::error_code error;
    const std::uintmax_t size = fs::file_size(file, error);
    check(!error, "{}: {}", where(member), error.message());
    check_size(size, limits_.bytes, where(member));
    member.content.resize(size);
    std::ifstream stream(file, std::ios::binary);
    stream.read(member.content.data(), static_cast<std::streamsize>(size));
    check(static_cast<bool>(stream), "{}: {} of {} bytes could be read", where(member),
          stream.gcount(), size);
    return member;
  }
  return std::nullopt;
}

std::optional<Member> MemberReader::next_of_archive() {
  while (archive_entry* const entry = next_entry(reader_, path_)) {
    const char* const name = archive_entry_pathname(entry);
    check(name != nullptr, "{}: a member has a name that cannot be read", path_);
    Member member{.name = name, .content = ""};
    check(!leads_out(member.name), "{}: its name leads out of the archive", where(member));
    const auto type = archive_entry_filetype(entry);
    if (type == AE_IFDIR || !limits_.wanted(member.name)) continue;
    const bool linked = archive_entry_hardlink(entry) != nullptr;
    check(type == AE_IFREG && !linked, "{}: a link or device, expected a file", where(member));
    while (read_some(reader_, where(member), kReadBytes, member.content)) {
      check_size(member.content.size(), limits_.bytes, where(member));
    }
    return member;
  }
  return std::nullopt;
}

}  // namespace arena
