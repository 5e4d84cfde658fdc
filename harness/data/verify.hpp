#pragma once
// What of a data set is on this machine, and whether it is what it should be.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tasks/dataset.hpp"
#include "tasks/task.hpp"

namespace arena {

/// The data sets that are meant by a data set's name, or that a task with these options may read.
/// Throws Error naming the nearest one.
std::vector<const Dataset*> datasets_of(const std::string& name);

/// What "{data}" stands for in the options of a data set's tasks.
constexpr const char* kDataDirMark = "{data}";

/// The task of this name and options ("text[max_len=1000]"), with subsets of its data accepted.
/// Throws Error as TaskInfo::make does.
std::unique_ptr<Task> make_reading_task(const std::string& text, const std::string& data_dir);

struct FileFinding {
  std::string path;
  bool found = false;
  std::string fault{};   // "" where size and checksum are right, or nobody knows them
  std::string sha256{};  // of what was found
};

/// A file of a data set under its place in the data folder.
FileFinding check_file(const RemoteFile& file, const std::string& data_dir);

struct TaskFinding {
  std::string task;
  std::string status;  // OK, PARTIAL, NO_DATA, ODD (it can be read, but see `remarks`) or ERROR
  std::vector<std::string> places{};
  std::map<std::string, double> counts{};
  std::vector<std::string> remarks{};  // what is wrong, a line each
};

/// Reads all that a task reads, through its own loader with all its checks.
TaskFinding check_task(const std::string& text, const std::string& data_dir);

}  // namespace arena
