#pragma once
// The Pathfinder images of Long Range Arena's release: PNG files and metadata in a folder or a tar.

#include <map>

#include "tasks/pathfinder/task.hpp"

namespace arena {

/// One image, as it is packed in PathfinderFiles.
struct PackedImage {
  std::size_t offset = 0, bytes = 0;
  std::int32_t label = 0;
  std::uint64_t content_hash = 0;  // of its pixels
};

struct PathfinderFiles {
  std::string png{};                  // one file after another
  std::vector<PackedImage> images{};  // in the order of their names
  bool generated = false;             // made here and written in the release's layout
  Index empty = 0;                    // files of 0 bytes, left out; the release has one
  double lit = 0;                     // share of pixels that are not black
  std::uint64_t content_hash = 0;     // of labels and pixels

  std::string_view file(const PackedImage& image) const {
    return std::string_view(png).substr(image.offset, image.bytes);
  }
};

constexpr Index kToTheEnd = -1;  // of an archive

/// Reads pathfinderR/FOLDER/{imgs/K/NAME.png, metadata/K.npy} for one size and difficulty from that
/// folder, or from a tar that holds it (plain, gzipped or xz'd; of the whole release its good
/// copy). Throws Error naming file and place on images that are no 8-bit gray PNG of this size or
/// have no white pixel, on metadata that is malformed or of another difficulty, and where images
/// and metadata do not belong together. Stops behind `enough` images and rows.
PathfinderFiles read_pathfinder_files(const std::string& path, Index side,
                                      PathfinderDifficulty difficulty, Index enough = kToTheEnd);

/// Which tenth of its class an image belongs to in the order of content hashes: the first is the
/// test split's, the second validation's. Copies of an image with one label stay together.
std::vector<Split> pathfinder_splits(std::span<const PackedImage> images);

class OfficialPathfinder final : public PathfinderTask {
 public:
  OfficialPathfinder(const PathfinderChoice& choice, const std::string& data_dir,
                     bool accept_subset);

  Index size(Split split) const override {
    return static_cast<Index>(of_split_[static_cast<std::size_t>(split)].size());
  }
  PathfinderImage image(Split split, Index index) const override;
  std::string dataset_hash() const override;
  std::map<std::string, double> counts() const override;
  bool partial() const override { return partial_; }
  std::vector<std::string> places() const override { return {place_}; }
  std::vector<std::string> oddities() const override;

 private:
  PathfinderDifficulty difficulty_;
  std::string place_;
  PathfinderFiles files_{};
  std::array<std::vector<std::size_t>, 3> of_split_{};  // numbers of images
  bool partial_ = false;
};

}  // namespace arena
