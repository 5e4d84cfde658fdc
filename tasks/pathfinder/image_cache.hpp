#pragma once
// Images on disk that took long to make. A file holds one slot per index, of fixed size:
//
//   checksum (8 bytes: FNV-1a of identity, index, label and pixels)   label (1 byte)   pixels
//
// A slot that was never written, was cut off by a crash or belongs to other images has a checksum
// that does not fit, and counts as empty. So there is nothing to lock, to rename or to repair: any
// number of threads, processes and machines fill one file at once, all with the same bytes, and
// what one of them made before it was killed is not made again. Empty slots take no space on disk.

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

struct PathfinderImage {
  std::vector<std::uint8_t> pixels{};  // [side, side]
  std::int32_t label = 0;
};

class ImageCache {
 public:
  /// `identity` says what the images are a function of, besides their index. The file and its
  /// folder are made when first needed; where that is not possible the cache stays empty.
  ImageCache(std::string path, std::uint64_t identity, Index pixels);
  ~ImageCache();
  ImageCache(const ImageCache&) = delete;
  ImageCache& operator=(const ImageCache&) = delete;

  std::optional<PathfinderImage> load(Index index) const;
  /// False where the image could not be written.
  bool store(Index index, const PathfinderImage& image) const;
  /// Waits until all that was stored is on disk.
  bool sync() const;

  const std::string& path() const { return path_; }

 private:
  int file() const;
  std::uint64_t checksum(Index index, const PathfinderImage& image) const;

  std::string path_;
  std::uint64_t identity_;
  std::size_t slot_bytes_;
  mutable std::once_flag opened_{};
  mutable int file_ = -1;
};

}  // namespace arena
