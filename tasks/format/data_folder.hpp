#pragma once
// Where data sets lie on a user's machine.

#include <array>
#include <string>
#include <vector>

namespace arena {

/// How the names of files end that are still being fetched: they are no data yet.
constexpr const char* kUnfinished = ".part";

/// $ARENA_DATA, or ~/.cache/arena.
std::string default_data_dir();

/// What is looked for, and what to tell a user who has not got it.
struct WantedData {
  std::string task;                   // "text"
  std::vector<std::string> patterns;  // "imdb/aclImdb*.tar.gz": * in the last component only
  std::string how_to_get;             // "put aclImdb_v1.tar.gz of https://... there"
};

/// The file or folder that the first matching pattern finds in `data_dir` ("": the default). Throws
/// Error where it finds two, and with Failure::kNoData, saying where it looked, where none does.
std::string find_data(const std::string& data_dir, const WantedData& wanted);

/// A data set with a file for each part: training, validation, test.
struct WantedParts {
  std::string task;
  std::vector<std::string> folders;  // "aan/", looked into in this order; "": the data folder
  std::array<std::string, 3> files;  // patterns of the file names
  std::string how_to_get;
};

/// All three files, from the folder where the first one is found. Throws Error as find_data does.
std::array<std::string, 3> find_parts(const std::string& data_dir, const WantedParts& wanted);

}  // namespace arena
