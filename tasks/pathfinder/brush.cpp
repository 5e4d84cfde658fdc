#include "tasks/pathfinder/brush.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace arena {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr std::uint8_t kFull = 255;

/// The generator fails where a kernel leaves a corner of the image without any pixel to look at; so
/// a kernel must have a step into each quadrant.
bool in_all_quadrants(std::span<const PixelAt> steps) {
  for (const Index down : {-1, 1}) {
    for (const Index right : {-1, 1}) {
      const auto in_quadrant = [&](PixelAt s) { return s.y * down >= 0 && s.x * right >= 0; };
      if (!std::ranges::any_of(steps, in_quadrant)) return false;
    }
  }
  return true;
}

}  // namespace

double flipped(double angle) {
  return angle < 0 ? angle + kPi : angle - kPi;
}

Brush::Brush(const PathfinderShape& shape, Index margin)
    : shape_(shape), margin_(margin), reach_(paddle_reach(shape, margin)) {
  for (Index degree = 0; degree < kSeedAngles; ++degree) {
    directions_.push_back(make_direction(static_cast<double>(degree - 180) * kPi / 180));
    kernels_.push_back(seed_kernel(directions_.back()));
  }
  for (Index y = -margin; y <= margin; ++y) {
    for (Index x = -margin; x <= margin; ++x) {
      if (y * y + x * x <= margin * margin) disc_.push_back({y, x});
    }
  }
  find_ring();
  find_turns();
}

Direction Brush::make_direction(double angle) {
  const double sine = std::sin(angle);
  const double cosine = std::cos(angle);
  return {angle, sine, cosine, find_patch(sine, cosine)};
}

Index Brush::find_patch(double sine, double cosine) {
  const PixelAt end = large_end(shape_, margin_, sine, cosine);
  const auto found = std::ranges::find(ends_, end) - ends_.begin();
  if (found == static_cast<std::ptrdiff_t>(ends_.size())) {
    ends_.push_back(end);
    patches_.push_back(draw_paddle(shape_, margin_, end));
  }
  return found;
}

/// Full pixels of the mask, seen from one pixel up and left of the paddle's start: the generator
/// does so, though the start itself was meant.
std::vector<PixelAt> Brush::seed_kernel(const Direction& direction) const {
  const Index furthest = shape_.paddle_length + margin_;
  const ByteImage& mask = patch(direction.patch).mask;
  std::vector<PixelAt> steps;
  for (Index y = 0; y < mask.rows(); ++y) {
    for (Index x = 0; x < mask.cols(); ++x) {
      const PixelAt step{y - reach_ + 1, x - reach_ + 1};
      const bool near = std::max(std::abs(step.y), std::abs(step.x)) <= furthest;
      if (near && mask.at({y, x}) == kFull) steps.push_back(step);
    }
  }
  return in_all_quadrants(steps) ? steps : std::vector<PixelAt>{};
}

void Brush::find_ring() {
  const auto radius = static_cast<double>(shape_.paddle_length + margin_);
  for (double angle = 0; angle < 2 * kPi; angle += 1 / radius) {
    ring_.push_back({static_cast<Index>(std::floor(radius * std::sin(angle))),
                     static_cast<Index>(std::floor(radius * std::cos(angle)))});
  }
  std::sort(ring_.begin(), ring_.end());
  ring_.erase(std::unique(ring_.begin(), ring_.end()), ring_.end());
  for (const PixelAt step : ring_) {
    const double angle = std::atan2(static_cast<double>(step.y), static_cast<double>(step.x));
    directions_.push_back(make_direction(angle));
    const double inward = flipped(angle);
    inward_.push_back(find_patch(std::sin(inward), std::cos(inward)));
  }
}

void Brush::find_turns() {
  for (const Direction& from : directions_) {
    for (std::size_t i = 0; i < ring_.size(); ++i) {
      double turn = std::abs(directions_[kSeedAngles + i].angle - from.angle);
      turn = std::min(turn, 2 * kPi - turn);
      const double cosine = std::cos(std::min(turn * shape_.continuity, kPi / 2));
      turns_.push_back(static_cast<float>(std::max(cosine, 0.0) * std::max(cosine, 0.0)));
    }
  }
}

}  // namespace arena
