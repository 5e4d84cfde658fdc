#pragma once
// Where data sets lie on a user's machine.

#include <string>
#include <vector>

namespace arena {

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

}  // namespace arena
