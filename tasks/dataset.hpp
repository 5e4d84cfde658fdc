#pragma once
// Where the data sets come from that tasks read.

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/registry.hpp"

namespace arena {

/// A file as its origin gives it away.
struct RemoteFile {
  std::string place;  // below the data folder, where the task finds it: "aclImdb_v1.tar.gz"
  std::string url;
  std::int64_t bytes = 0;  // 0: not known
  std::string sha256{};    // 64 hex digits; "": none was ever published
};

/// A registry entry, made by the file of a task that reads the data set.
struct Dataset {
  static constexpr const char* kKind = "data set";

  std::string name;
  std::string summary;
  std::string licence;  // what its origin says
  std::vector<RemoteFile> files;
  std::vector<std::string> tasks;  // that read it, with their options: "pathx[data=official]"
};

}  // namespace arena
