#pragma once
// Small data files for tests, plain or packed, gone at the end of the test.

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace arena {

enum class Packing { kPlain, kGzip, kXz };

/// A file of a tar archive; with a target, a link to it.
struct TarMember {
  std::string name, content;
  std::string link_target{};
};

class ArchiveWriter {
 public:
  enum class Format { kRaw, kTar };

  ArchiveWriter(const std::string& path, Format format, Packing packing)
      : writer_(archive_write_new()) {
    if (packing == Packing::kGzip) archive_write_add_filter_gzip(writer_);
    if (packing == Packing::kXz) archive_write_add_filter_xz(writer_);
    if (format == Format::kRaw) archive_write_set_format_raw(writer_);
    if (format == Format::kTar) archive_write_set_format_ustar(writer_);
    EXPECT_EQ(archive_write_open_filename(writer_, path.c_str()), ARCHIVE_OK);
  }
  ~ArchiveWriter() {
    EXPECT_EQ(archive_write_close(writer_), ARCHIVE_OK);
    archive_write_free(writer_);
  }
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  void add(const TarMember& member) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, member.name.c_str());
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_filetype(entry, member.link_target.empty() ? AE_IFREG : AE_IFLNK);
    if (!member.link_target.empty()) archive_entry_set_symlink(entry, member.link_target.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(member.content.size()));
    EXPECT_EQ(archive_write_header(writer_, entry), ARCHIVE_OK);
    EXPECT_EQ(archive_write_data(writer_, member.content.data(), member.content.size()),
              static_cast<la_ssize_t>(member.content.size()));
    archive_entry_free(entry);
  }

 private:
  archive* writer_;
};

inline void write_tar(const std::string& path, const std::vector<TarMember>& members,
                      Packing packing = Packing::kGzip) {
  ArchiveWriter writer(path, ArchiveWriter::Format::kTar, packing);
  for (const TarMember& member : members) writer.add(member);
}

/// Writes a file as it is, or as one member of gzip or xz.
inline void write_file(const std::string& path, const std::string& content,
                       Packing packing = Packing::kPlain) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  if (packing == Packing::kPlain) {
    std::ofstream(path, std::ios::binary) << content;
  } else {
    ArchiveWriter(path, ArchiveWriter::Format::kRaw, packing).add({"", content});
  }
}

class DataFile {
 public:
  explicit DataFile(const std::string& content, Packing packing = Packing::kPlain) {
    static int count = 0;
    path_ = testing::TempDir() + "arena-" + std::to_string(getpid()) + "-" +
            std::to_string(count++) + ".tsv";
    write_file(path_, content, packing);
  }
  ~DataFile() { std::filesystem::remove(path_); }
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;

  const std::string& path() const { return path_; }
  void cut_to(std::uintmax_t bytes) const { std::filesystem::resize_file(path_, bytes); }

 private:
  std::string path_;
};

}  // namespace arena
