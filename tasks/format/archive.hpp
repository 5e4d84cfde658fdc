#pragma once
// Files from outside, plain or packed, and the members of folders and tar archives, read in place.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct archive;
struct archive_entry;

namespace arena {

struct CloseArchive {
  void operator()(archive* reader) const;
};
using ArchiveHandle = std::unique_ptr<archive, CloseArchive>;

enum class Contents { kStream, kTar };

/// Opens a file that may be gzipped or xz'd (its content tells, not its name), as one stream of
/// bytes or as a tar archive. Throws Error, with Failure::kNoData where there is no such file.
ArchiveHandle open_archive(const std::string& path, Contents contents);
/// The entry that comes next, null at the end. Throws Error naming `path`.
archive_entry* next_entry(const ArchiveHandle& reader, const std::string& path);
/// Appends at most `count` bytes of the entry to `out`; false at its end. Throws Error beginning
/// with `where`.
bool read_some(const ArchiveHandle& reader, const std::string& where, std::size_t count,
               std::string& out);

/// One file of a folder or an archive.
struct Member {
  std::string name;     // "aclImdb/train/pos/0_9.txt"; of a folder: from the folder on
  std::string content;  // the whole file
};

/// The last component of a member's name.
std::string_view file_name(std::string_view name);

/// Walks over the files of a folder (in the order of their names) or of a tar archive, plain,
/// gzipped or xz'd (in its own order).
class MemberReader {
 public:
  struct Limits {
    std::size_t bytes = 0;  // of one member
    /// Members with other names are passed over.
    std::function<bool(std::string_view name)> wanted;
  };

  /// Throws Error, with Failure::kNoData where there is nothing at `path`.
  MemberReader(std::string path, Limits limits);

  /// The next wanted file, nullopt after the last. Throws Error naming file and member on a broken
  /// archive, a wanted member that is too large or is a link, and a name that leads out of the
  /// archive ("/etc/x", "a/../b"), wanted or not.
  std::optional<Member> next();

  /// "PATH, member NAME", for messages.
  std::string where(const Member& member) const;

 private:
  std::optional<Member> next_of_folder();
  std::optional<Member> next_of_archive();

  std::string path_;
  Limits limits_;
  ArchiveHandle reader_{};            // null: a folder
  std::vector<std::string> files_{};  // names of a folder's files, ascending
  std::size_t next_file_ = 0;
};

}  // namespace arena
