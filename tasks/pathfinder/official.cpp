#include "tasks/pathfinder/official.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "harness/core/hash.hpp"
#include "harness/core/team.hpp"
#include "tasks/format/archive.hpp"
#include "tasks/format/data_folder.hpp"
#include "tasks/format/labelled_set.hpp"
#include "tasks/format/png.hpp"
#include "tasks/pathfinder/export.hpp"
#include "tasks/pathfinder/metadata.hpp"

namespace arena {
namespace {

constexpr Index kOfficialImages = 200'000;  // of one size and difficulty, the empty file included
constexpr std::size_t kMostMetadata = 1 << 24;  // bytes of a metadata file
constexpr std::uint8_t kWhite = 255;

/// A PNG that is not compressed at all, and some text in it.
std::size_t most_png_bytes(Index side) {
  return static_cast<std::size_t>(2 * side * side) + 4096;
}

/// The part of a member's name that begins with imgs/ or metadata/; nullopt where it is of another
/// data set, or of the release's first copy of pathfinder128, which cannot be learnt.
std::optional<std::string> name_in_set(std::string_view name, const std::string& set) {
  const auto is_ours = [](std::string_view rest) {
    return rest == kGeneratedMark || (rest.starts_with("imgs/") && rest.ends_with(".png")) ||
           (rest.starts_with("metadata/") && rest.ends_with(".npy"));
  };
  const std::size_t found = name.find(set);
  if (found != std::string_view::npos && (found == 0 || name[found - 1] == '/')) {
    std::string_view root = name.substr(0, found);
    if (root.starts_with("./")) root.remove_prefix(2);
    if (root == "lra_release/") return std::nullopt;
    name.remove_prefix(found + set.size());
  }
  return is_ours(name) ? std::optional<std::string>(name) : std::nullopt;
}

/// What was read, by the names that metadata gives.
struct Collected {
  std::string png{};
  std::map<std::string, PackedImage> images{};  // name -> place in `png`
  std::map<std::string, std::int32_t> labels{};
  bool generated = false;
};

Collected collect(const std::string& path, Index side, PathfinderDifficulty difficulty,
                  Index enough) {
  const std::string set = fmt::format("pathfinder{}/{}/", side, pathfinder_folder(difficulty));
  const Index contour_length = pathfinder_shape(side, difficulty).target_paddles;
  MemberReader members(
      path, {.bytes = std::max(kMostMetadata, most_png_bytes(side)),
             .wanted = [&](std::string_view name) { return name_in_set(name, set).has_value(); }});
  Collected all;
  const auto complete = [&] {
    return std::ssize(all.images) == enough && std::ssize(all.labels) == enough;
  };
  while (!complete()) {
    const std::optional<Member> member = members.next();
    if (!member) break;
    const std::string where = members.where(*member);
    const std::string name = name_in_set(member->name, set).value();
    if (name == kGeneratedMark) {
      all.generated = true;
      continue;
    }
    if (name.starts_with("imgs/")) {
      check(member->content.size() <= most_png_bytes(side), "{}: {} bytes, expected at most {}",
            where, member->content.size(), most_png_bytes(side));
      const PackedImage image{.offset = all.png.size(), .bytes = member->content.size()};
      check(all.images.emplace(name, image).second, "{}: the file comes a second time", where);
      all.png += member->content;
      continue;
    }
    for (auto& row : parse_pathfinder_metadata(member->content, where, contour_length)) {
      check(all.labels.emplace(row.image, row.label).second, "{}: '{}' has a second row", where,
            row.image);
    }
  }
  return all;
}

/// Unpacks every image once, on all threads: from now on they are known to be sound.
void check_images(PathfinderFiles& files, const std::vector<std::string>& where, Index side) {
  std::vector<Index> lit(files.images.size());
  Workers workers(available_threads());
  workers.team().for_each(static_cast<Index>(files.images.size()), [&](Index i, const Team&) {
    const auto at = static_cast<std::size_t>(i);
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(side * side));
    read_gray_png(files.file(files.images[at]), where[at], side, pixels);
    const std::uint8_t brightest = std::ranges::max(pixels);
    check(brightest == kWhite, "{}: the brightest pixel is {}, expected {}", where[at], brightest,
          kWhite);
    lit[at] = std::ranges::count_if(pixels, [](std::uint8_t byte) { return byte > 0; });
    files.images[at].content_hash = fnv1a(std::span<const std::uint8_t>(pixels));
  });
  const auto pixels = static_cast<double>(lit.size()) * static_cast<double>(side * side);
  files.lit = static_cast<double>(std::accumulate(lit.begin(), lit.end(), Index{0})) / pixels;
  files.content_hash = kFnvStart;
  for (const PackedImage& image : files.images) {
    const std::uint64_t content[] = {image.content_hash, static_cast<std::uint64_t>(image.label)};
    files.content_hash = fnv1a(std::span<const std::uint64_t>(content), files.content_hash);
  }
}

/// Share of pixels that are not black, as the public generator draws them.
double usual_lit(Index side, PathfinderDifficulty difficulty) {
  constexpr double kLit[4][3] = {{0.2281, 0.2669, 0.3416},
                                 {0.1990, 0.2196, 0.2602},
                                 {0.1099, 0.1207, 0.1370},
                                 {0.0300, 0.0337, 0.0389}};
  const std::size_t row = side == 32 ? 0 : side == 64 ? 1 : side == 128 ? 2 : 3;
  return kLit[row][static_cast<std::size_t>(difficulty)];
}

WantedData wanted_data(const PathfinderChoice& choice) {
  const std::string size = fmt::format("pathfinder{}", choice.side);
  const std::string folder = pathfinder_folder(choice.difficulty);
  return {.task = choice.task,
          .patterns = {size + "/" + folder, "pathfinder/" + size + "/" + folder,
                       "lra_release/lra_release/" + size + "/" + folder,
                       size + "-" + folder + ".tar*", "pathfinder/" + size + "-" + folder + ".tar*",
                       size + ".tar*", "pathfinder/" + size + ".tar*", "lra_release*.gz"},
          .how_to_get =
              "`arena data get lra` fetches lra_release.gz, to be read packed or not; "
              "without data=official images are made here"};
}

}  // namespace

PathfinderFiles read_pathfinder_files(const std::string& path, Index side,
                                      PathfinderDifficulty difficulty, Index enough) {
  Collected all = collect(path, side, difficulty, enough);
  PathfinderFiles files{.png = std::move(all.png), .generated = all.generated};
  std::vector<std::string> where;
  for (const auto& [name, image] : all.images) {
    const auto label = all.labels.find(name);
    check(label != all.labels.end(), "'{}': image '{}' has no row in the metadata", path, name);
    if (image.bytes == 0) {
      ++files.empty;
      continue;
    }
    files.images.push_back(image);
    files.images.back().label = label->second;
    where.push_back(fmt::format("'{}', image '{}'", path, name));
  }
  for (const auto& [name, label] : all.labels) {
    check(all.images.contains(name), "'{}': the metadata has a row of '{}', which is not there",
          path, name);
  }
  check_images(files, where, side);
  return files;
}

std::vector<Split> pathfinder_splits(std::span<const PackedImage> images) {
  std::array<std::vector<std::uint64_t>, 2> of_class;
  for (const PackedImage& image : images) {
    of_class[static_cast<std::size_t>(image.label)].push_back(image.content_hash);
  }
  for (std::vector<std::uint64_t>& hashes : of_class) std::ranges::sort(hashes);
  std::vector<Split> splits;
  for (const PackedImage& image : images) {
    const std::vector<std::uint64_t>& hashes = of_class[static_cast<std::size_t>(image.label)];
    const auto rank = std::ranges::lower_bound(hashes, image.content_hash) - hashes.begin();
    const auto tenth = 10 * rank / static_cast<std::ptrdiff_t>(hashes.size());
    splits.push_back(tenth == 0 ? Split::kTest : tenth == 1 ? Split::kValidation : Split::kTrain);
  }
  return splits;
}

OfficialPathfinder::OfficialPathfinder(const PathfinderChoice& choice, const std::string& data_dir,
                                       bool accept_subset)
    : PathfinderTask(pathfinder_shape(choice.side, choice.difficulty)),
      difficulty_(choice.difficulty),
      place_(find_data(data_dir, wanted_data(choice))) {
  // Behind a whole set the release has gigabytes of others.
  const bool release = file_name(place_).starts_with("lra_release");
  files_ = read_pathfinder_files(place_, choice.side, choice.difficulty,
                                 release ? kOfficialImages : kToTheEnd);
  check(!files_.generated, "{}: the images in '{}' were made by arena, which is not data=official",
        choice.task, place_);
  const PartCount all[] = {
      {"images", static_cast<Index>(files_.images.size()) + files_.empty, kOfficialImages}};
  partial_ = is_subset(choice.task, place_, all, accept_subset);
  const std::vector<Split> splits = pathfinder_splits(files_.images);
  for (std::size_t i = 0; i < splits.size(); ++i) {
    of_split_[static_cast<std::size_t>(splits[i])].push_back(i);
  }
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    check(size(split) > 0, "{}: '{}' has {} images, too few for three splits", choice.task, place_,
          files_.images.size());
  }
}

PathfinderImage OfficialPathfinder::image(Split split, Index index) const {
  const std::size_t number =
      of_split_[static_cast<std::size_t>(split)][static_cast<std::size_t>(index)];
  const PackedImage& packed = files_.images[number];
  PathfinderImage image{.pixels = std::vector<std::uint8_t>(static_cast<std::size_t>(max_len())),
                        .label = packed.label};
  read_gray_png(files_.file(packed), "an image that was sound", shape().side, image.pixels);
  return image;
}

std::string OfficialPathfinder::dataset_hash() const {
  return fmt::format("{:016x}", files_.content_hash);
}

std::map<std::string, double> OfficialPathfinder::counts() const {
  const auto count = static_cast<double>(files_.images.size());
  const auto ones = static_cast<double>(std::ranges::count(files_.images, 1, &PackedImage::label));
  return {{"images", count},
          {"empty files, left out", static_cast<double>(files_.empty)},
          {"share of label 1", ones / count},
          {"share of pixels that are not black", files_.lit}};
}

std::vector<std::string> OfficialPathfinder::oddities() const {
  constexpr double kLabelTolerance = 0.005;  // of the 200,000 images; more where there are fewer
  constexpr double kStandardErrors = 4;
  constexpr double kLitTolerance = 0.05;
  const auto count = static_cast<double>(files_.images.size());
  const double ones = counts().at("share of label 1");
  const double near = std::max(kLabelTolerance, kStandardErrors * 0.5 / std::sqrt(count));
  const double lit = usual_lit(shape().side, difficulty_);
  std::vector<std::string> odd;
  if (std::abs(ones - 0.5) > near) {
    odd.push_back(fmt::format("share of label 1 is {:.4f}, expected 0.5 +- {:.4f}", ones, near));
  }
  if (std::abs(files_.lit / lit - 1) > kLitTolerance) {
    odd.push_back(
        fmt::format("share of pixels that are not black is {:.4f}, expected {:.4f} within "
                    "{:.0f} %",
                    files_.lit, lit, 100 * kLitTolerance));
  }
  return odd;
}

}  // namespace arena
