#include "tasks/pathfinder/image_cache.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <span>
#include <utility>

#include "harness/core/hash.hpp"

namespace arena {
namespace {

constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);
constexpr std::size_t kFrontBytes = kChecksumBytes + 1;  // and the label

}  // namespace

ImageCache::ImageCache(std::string path, std::uint64_t identity, Index pixels)
    : path_(std::move(path)),
      identity_(identity),
      slot_bytes_(kFrontBytes + static_cast<std::size_t>(pixels)) {}

ImageCache::~ImageCache() {
  if (file_ >= 0) ::close(file_);
}

int ImageCache::file() const {
  std::call_once(opened_, [this] {
    std::error_code ignored;  // then the file cannot be opened either
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  });
  return file_;
}

std::uint64_t ImageCache::checksum(Index index, const PathfinderImage& image) const {
  const std::uint64_t front[] = {identity_, static_cast<std::uint64_t>(index),
                                 static_cast<std::uint64_t>(image.label)};
  return fnv1a(std::span<const std::uint8_t>(image.pixels),
               fnv1a(std::span<const std::uint64_t>(front)));
}

std::optional<PathfinderImage> ImageCache::load(Index index) const {
  std::vector<std::uint8_t> slot(slot_bytes_);
  const auto place = static_cast<off_t>(slot_bytes_) * index;
  if (file() < 0 ||
      ::pread(file(), slot.data(), slot_bytes_, place) != static_cast<ssize_t>(slot_bytes_)) {
    return std::nullopt;
  }
  std::uint64_t sum = 0;
  std::memcpy(&sum, slot.data(), kChecksumBytes);
  PathfinderImage image{.pixels = {slot.begin() + kFrontBytes, slot.end()},
                        .label = slot[kChecksumBytes]};
  if (sum != checksum(index, image)) return std::nullopt;
  return image;
}

bool ImageCache::store(Index index, const PathfinderImage& image) const {
  std::vector<std::uint8_t> slot(kFrontBytes);
  const std::uint64_t sum = checksum(index, image);
  std::memcpy(slot.data(), &sum, kChecksumBytes);
  slot[kChecksumBytes] = static_cast<std::uint8_t>(image.label);
  slot.insert(slot.end(), image.pixels.begin(), image.pixels.end());
  const auto place = static_cast<off_t>(slot_bytes_) * index;
  return file() >= 0 &&
         ::pwrite(file(), slot.data(), slot.size(), place) == static_cast<ssize_t>(slot.size());
}

bool ImageCache::sync() const {
  return file() >= 0 && ::fsync(file()) == 0;
}

}  // namespace arena
