#include "tasks/pathfinder/generator.hpp"

#include <algorithm>
#include <cmath>

namespace arena {
namespace {

constexpr double kWhite = 255;
constexpr Index kDistractorAttempts = 5;

}  // namespace

PathfinderGenerator::PathfinderGenerator(const PathfinderShape& shape)
    : shape_(shape), marker_(shape.marker_radius, shape.side) {
  for (const Index margin : shape.margins) brushes_.emplace_back(shape, margin);
}

PathfinderScene PathfinderGenerator::draw(RandomStream& stream) const {
  const auto num_brushes = static_cast<Index>(brushes_.size());
  const auto brush = static_cast<std::size_t>(num_brushes > 1 ? stream.below(num_brushes) : 0);
  PathfinderScene scene{.targets = Canvas(shape_.side), .distractors = Canvas(shape_.side)};
  Growth growth(shape_, brushes_[brush], stream);
  std::optional<std::array<Contour, 2>> targets;
  while (!targets) {
    targets = growth.try_targets(scene.targets);
    ++scene.attempts;
  }
  for (std::size_t i = 0; i < 2; ++i) scene.ends[i] = {(*targets)[i].tail, (*targets)[i].tip};
  for (Index d = 0; d < shape_.distractors; ++d) {
    bool found = false;
    for (Index i = 0; i < kDistractorAttempts && !found; ++i) {
      found = growth.try_distractor(scene.distractors);
    }
    scene.num_distractors += found ? 1 : 0;
  }
  return scene;
}

void PathfinderGenerator::add_marker(std::vector<double>& image, PixelAt centre) const {
  const ByteImage disc = marker_.draw(centre);
  const Index reach = marker_.reach();
  const Index bottom = std::min(shape_.side, centre.y + reach + 1);
  const Index right = std::min(shape_.side, centre.x + reach + 1);
  for (Index y = std::max(Index{0}, centre.y - reach); y < bottom; ++y) {
    for (Index x = std::max(Index{0}, centre.x - reach); x < right; ++x) {
      double& pixel = image[static_cast<std::size_t>(y * shape_.side + x)];
      pixel = std::max(pixel, disc.at({y - centre.y + reach, x - centre.x + reach}) / kWhite);
    }
  }
}

std::vector<std::uint8_t> PathfinderGenerator::render(const PathfinderScene& scene, Index label,
                                                      Index from) const {
  std::vector<double> image;
  image.reserve(static_cast<std::size_t>(shape_.side * shape_.side));
  for (Index y = 0; y < shape_.side; ++y) {
    const std::uint8_t* const targets = scene.targets.row(y);
    const std::uint8_t* const distractors = scene.distractors.row(y);
    for (Index x = 0; x < shape_.side; ++x) {
      image.push_back(std::max(targets[x] / kWhite * shape_.target_contrast,
                               distractors[x] / kWhite * shape_.distractor_contrast));
    }
  }
  const Index to = label == 1 ? from : 1 - from;
  add_marker(image, scene.ends[static_cast<std::size_t>(from)][0]);
  add_marker(image, scene.ends[static_cast<std::size_t>(to)][1]);
  const auto [low, high] = std::ranges::minmax(image);
  const double scale = kWhite / (high - low);
  std::vector<std::uint8_t> bytes(image.size());
  std::ranges::transform(image, bytes.begin(), [low = low, scale](double value) {
    return static_cast<std::uint8_t>(std::floor((value - low) * scale + 0.5));
  });
  return bytes;
}

}  // namespace arena
