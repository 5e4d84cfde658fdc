#pragma once
// Fetching a file: resumed where it was cut off, checked before it has its name.

#include <cstdint>
#include <functional>
#include <string>

namespace arena {

struct Download {
  std::string url;         // http, https or file
  std::string path;        // where the file comes to lie
  std::int64_t bytes = 0;  // expected; 0: not known
  std::string sha256{};    // expected; "": not known
  long stall_s = 60;       // without a single byte, after which the origin is given up
};

/// Bytes that are here, of how many (0: not known).
using DownloadProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Fetches into `path`.part, goes on behind what is there already, and once size and checksum are
/// right syncs it and gives it its name. Returns the checksum. Throws Error naming the URL: what
/// was cut off stays and the next call goes on; what is wrong is removed.
std::string download(const Download& wanted, const DownloadProgress& progress);

}  // namespace arena
