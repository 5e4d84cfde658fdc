#include "results/store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <unordered_map>

#include "harness/core/check.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;

/// An open file, closed at the end of its scope.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : number_(::open(path.c_str(), flags, 0666)) {
    check(number_ >= 0, "cannot open {}: {}", path, std::strerror(errno));
  }
  ~Descriptor() { ::close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

void write_all(int file, const std::string& content, const std::string& path) {
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t count = ::write(file, content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    check(count > 0, "cannot write {}: {}", path, std::strerror(errno));
    done += static_cast<std::size_t>(count);
  }
}

/// Appends to `all` the lines that are not in it; the place of each of `lines` in it.
std::vector<Index> add_lines(std::vector<std::string>& all, std::span<const std::string> lines) {
  std::unordered_map<std::string, Index> places;
  for (std::size_t i = 0; i < all.size(); ++i) places.emplace(all[i], static_cast<Index>(i));
  std::vector<Index> result;
  for (const std::string& line : lines) {
    const auto [place, fresh] = places.emplace(line, static_cast<Index>(all.size()));
    if (fresh) all.push_back(line);
    result.push_back(place->second);
  }
  return result;
}

/// The record of the cell that the file is named after.
Record read_cell(const std::string& path) {
  Record record = record_from_json(read_file(path), path);
  check(fs::path(path).stem() == record.id, "{}: holds the record of {}; a copy? then remove it",
        path, record.id);
  return record;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  check(file.good() && !fs::is_directory(path), "cannot read {}: {}", path, std::strerror(errno));
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

std::string temporary_name(const std::string& path) {
  std::random_device random;
  return fmt::format("{}.{:08x}{:08x}.tmp", path, random(), random());
}

void write_file_atomically(const std::string& path, const std::string& content) {
  const std::string temporary = temporary_name(path);
  {
    const Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
    write_all(file.number(), content, temporary);
    check(::fsync(file.number()) == 0, "cannot sync {}: {}", temporary, std::strerror(errno));
  }
  rename_and_sync(temporary, path);
}

void rename_and_sync(const std::string& temporary, const std::string& path) {
  check(std::rename(temporary.c_str(), path.c_str()) == 0, "cannot rename {} to {}: {}", temporary,
        path, std::strerror(errno));
  const std::string folder = fs::path(path).parent_path().string();
  const Descriptor parent(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ::fsync(parent.number());  // some file systems refuse it for a folder; the rename stands anyway
}

void create_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  check(!error && fs::is_directory(path, error), "cannot create folder {}: {}", path,
        error ? error.message() : "there is a file of that name");
}

void Store::save(const Record& record) const {
  create_folder(dir_ + "/cells");
  write_file_atomically(cell_path(record.id), to_json(record) + "\n");
}

std::optional<Record> Store::find(const std::string& id) const {
  const std::string path = cell_path(id);
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  return read_cell(path);
}

std::vector<Record> Store::load() const {
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(dir_ + "/cells", error)) {
    if (entry.path().extension() == ".json") paths.push_back(entry.path().string());
  }
  check(!error, "{}: no results: cannot read {}/cells: {}", dir_, dir_, error.message());
  std::ranges::sort(paths);
  std::vector<Record> records;
  for (const std::string& path : paths) {
    records.push_back(read_cell(path));
  }
  return records;
}

void Store::remove(const std::string& id) const {
  std::error_code error;
  fs::remove(cell_path(id), error);
  check(!error, "cannot remove {}: {}", cell_path(id), error.message());
}

std::vector<Index> Store::add_to_plan(std::span<const std::string> lines) const {
  create_folder(dir_);
  const Descriptor lock(dir_ + "/.plan.lock", O_WRONLY | O_CREAT | O_CLOEXEC);
  ::flock(lock.number(), LOCK_EX);  // released when the descriptor closes
  std::vector<std::string> all = plan();
  const std::size_t before = all.size();
  std::vector<Index> result = add_lines(all, lines);
  if (all.size() > before) {
    std::string content;
    for (const std::string& line : all) content += line + "\n";
    write_file_atomically(plan_path(), content);
  }
  return result;
}

std::vector<Index> Store::places_of(std::span<const std::string> lines) const {
  std::vector<std::string> all = plan();
  return add_lines(all, lines);
}

std::vector<std::string> Store::plan() const {
  std::error_code error;
  return fs::exists(plan_path(), error) ? lines_of(read_file(plan_path()))
                                        : std::vector<std::string>{};
}

}  // namespace arena
