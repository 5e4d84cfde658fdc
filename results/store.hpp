#pragma once
// A folder of results: DIR/cells/ID.json, one record each, and DIR/plan.jsonl, what was planned.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "results/record.hpp"

namespace arena {

/// Whole content of a file; throws Error naming the path.
std::string read_file(const std::string& path);
/// A name beside `path` that no other process writes to, on whatever machine: numbers of processes
/// are the same in every container.
std::string temporary_name(const std::string& path);
/// Replaces the file at once: a reader, or a kill at any instant, sees the old or the new content,
/// never a part. Writes a temporary name beside it, syncs, renames, syncs the folder.
void write_file_atomically(const std::string& path, const std::string& content);
/// Renames what was written and synced, and syncs the folder. Throws Error naming both.
void rename_and_sync(const std::string& temporary, const std::string& path);
/// Creates the folder with its parents; throws Error naming it.
void create_folder(const std::string& path);

/// Records of one folder. Several processes may use one folder at once.
class Store {
 public:
  explicit Store(std::string dir) : dir_(std::move(dir)) {}

  const std::string& dir() const { return dir_; }
  std::string cell_path(const std::string& id) const { return dir_ + "/cells/" + id + ".json"; }
  std::string plan_path() const { return dir_ + "/plan.jsonl"; }

  void save(const Record& record) const;
  std::optional<Record> find(const std::string& id) const;
  /// All records, sorted by id; temporary files are passed over. Throws Error naming a folder
  /// without cells/ or a file that is not a record.
  std::vector<Record> load() const;
  /// Forgets a record (a cell which is planned under another id now).
  void remove(const std::string& id) const;

  /// Adds to the plan the lines that are not in it yet, in order, and gives the place (from 0) of
  /// each of `lines` in the whole plan. Places never change.
  std::vector<Index> add_to_plan(std::span<const std::string> lines) const;
  /// The places that these lines have, or would get, in the plan; writes nothing.
  std::vector<Index> places_of(std::span<const std::string> lines) const;
  /// All lines of the plan; empty when there is none.
  std::vector<std::string> plan() const;

 private:
  std::string dir_;
};

}  // namespace arena
