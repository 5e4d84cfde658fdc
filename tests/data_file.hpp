#pragma once
// Small data files for tests, plain or gzipped, gone at the end of the test.

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace arena {

enum class Packing { kPlain, kGzip };

/// Writes `content` as one gzip member.
inline void write_gzip(const std::string& path, const std::string& content) {
  archive* const writer = archive_write_new();
  archive_entry* const entry = archive_entry_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_raw(writer);
  archive_entry_set_filetype(entry, AE_IFREG);
  EXPECT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
  EXPECT_EQ(archive_write_data(writer, content.data(), content.size()),
            static_cast<la_ssize_t>(content.size()));
  EXPECT_EQ(archive_write_close(writer), ARCHIVE_OK);
  archive_entry_free(entry);
  archive_write_free(writer);
}

class DataFile {
 public:
  explicit DataFile(const std::string& content, Packing packing = Packing::kPlain) {
    static int count = 0;
    path_ = testing::TempDir() + "arena-" + std::to_string(getpid()) + "-" +
            std::to_string(count++) + ".tsv";
    if (packing == Packing::kGzip) {
      write_gzip(path_, content);
    } else {
      std::ofstream(path_, std::ios::binary) << content;
    }
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
