#pragma once
// A folder of its own for each test, removed at its end.

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "harness/core/check.hpp"

namespace arena {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "arena-test-XXXXXX").string();
    check(::mkdtemp(pattern.data()) != nullptr, "cannot make a folder {}", pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace arena
