#include "tasks/pathfinder/growth.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace arena {
namespace {

// Masks are bytes for values 0 to 1.
constexpr std::uint8_t kFree = 76;  // no more than 0.3
constexpr int kTooMuch = 459;       // 1.8: more than two paddles' margins may share
constexpr Index kPaddleTries = 3;
constexpr float kLeastWeight = 1e-4F;
constexpr Index kLeastFree = 100;  // of so many pixels one must be free

}  // namespace

std::optional<Contour> Growth::contour_at(PixelAt tail, Index seed_angle) const {
  const Direction& ahead_of = brush_.direction(seed_angle);
  const double back = flipped(ahead_of.angle);
  const PixelAt head =
      ahead(tail, ahead_of.sine, ahead_of.cosine, static_cast<double>(shape_.paddle_length));
  const PixelAt pivot = ahead(head, std::sin(back), std::cos(back),
                              static_cast<double>(shape_.paddle_length + brush_.margin()));
  if (!mask_.contains(head) || !mask_.contains(pivot)) return std::nullopt;
  return Contour{.tail = tail,
                 .tip = head,
                 .pivot = pivot,
                 .direction = seed_angle,
                 .patch = ahead_of.patch,
                 .patch_centre = tail};
}

std::optional<Contour> Growth::first_paddle(Index border) {
  for (Index i = 0; i < kPaddleTries; ++i) {
    const Index seed_angle = stream_.below(Brush::kSeedAngles);
    const auto kernel = brush_.kernel(seed_angle);
    if (kernel.empty()) return std::nullopt;
    PixelSet taken(mask_, kFree);
    taken.add_frame(border);
    PixelSet touching(shape_.side);
    touching.add_reaching(taken, kernel);
    const std::optional<PixelAt> tail = touching.draw_outside(stream_);
    if (!tail) return std::nullopt;
    if (const auto contour = contour_at(*tail, seed_angle)) return contour;
  }
  return std::nullopt;
}

std::optional<Contour> Growth::first_paddle_beside(PixelAt tail) {
  for (Index i = 0; i < kPaddleTries; ++i) {
    const Index seed_angle = stream_.below(Brush::kSeedAngles);
    const auto phi = static_cast<double>(stream_.below(360)) * std::numbers::pi / 180;
    const auto distance = static_cast<double>(shape_.seed_distance);
    const PixelAt beside{tail.y + static_cast<Index>(std::round(distance * std::sin(phi))),
                         tail.x + static_cast<Index>(std::round(distance * std::cos(phi)))};
    if (const auto contour = contour_at(beside, seed_angle)) return contour;
  }
  return std::nullopt;
}

/// Sums of how good the ring's pixels are as the next tip; false where none is.
bool Growth::weigh_ring(const Contour& contour, PixelAt middle) {
  const auto ring = brush_.ring();
  const auto turns = brush_.turns(contour.direction);
  up_to_.assign(ring.size(), 0);
  float sum = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const PixelAt tip{middle.y + ring[i].y, middle.x + ring[i].x};
    if (turns[i] > 0 && mask_.contains(tip)) {
      std::uint8_t taken = 0;
      for (const PixelAt step : brush_.disc()) {
        taken = std::max(taken, mask_.at({tip.y + step.y, tip.x + step.x}));
      }
      sum += (1 - static_cast<float>(taken) / 255) * turns[i];
    }
    up_to_[i] = sum;
  }
  return sum >= kLeastWeight;
}

Index Growth::draw_ring() {
  const float u = static_cast<float>(stream_.uniform()) * up_to_.back();
  const auto found = std::ranges::upper_bound(up_to_, u);
  // Rounding may bring u to the sum itself: then the last pixel with a weight.
  return (found == up_to_.end() ? std::ranges::lower_bound(up_to_, u) : found) - up_to_.begin();
}

bool Growth::extend(Contour& contour, Canvas& lines) {
  const Direction& from = brush_.direction(contour.direction);
  const PixelAt middle = ahead(contour.pivot, from.sine, from.cosine,
                               static_cast<double>(shape_.paddle_length + 2 * brush_.margin()));
  if (!weigh_ring(contour, middle)) return false;
  for (Index i = 0; i < kPaddleTries; ++i) {
    const Index chosen = draw_ring();
    const PixelAt step = brush_.ring()[static_cast<std::size_t>(chosen)];
    const PixelAt tip{middle.y + step.y, middle.x + step.x};
    const Index patch = brush_.inward_patch(chosen);
    if (!mask_.fits(brush_.patch(patch).mask, tip, kTooMuch)) continue;
    lines.stamp(brush_.patch(patch).line, tip);
    take_place(contour);
    contour.pivot = middle;
    contour.direction = brush_.ring_direction(chosen);
    contour.tip = contour.patch_centre = tip;
    contour.patch = patch;
    return true;
  }
  return false;
}

void Growth::take_place(const Contour& contour) {
  mask_.stamp(newest(contour).mask, contour.patch_centre);
}

std::optional<std::array<Contour, 2>> Growth::try_targets(Canvas& lines) {
  mask_ = padding_;
  const auto first = first_paddle(2 * shape_.seed_distance);
  if (!first) return std::nullopt;
  const auto second = first_paddle_beside(first->tail);
  if (!second) return std::nullopt;
  std::array<Contour, 2> targets = {*first, *second};
  lines.clear();
  for (const Contour& contour : targets) lines.stamp(newest(contour).line, contour.tail);
  for (Index k = 1; k < shape_.target_paddles; ++k) {
    for (Contour& contour : targets) {
      if (!extend(contour, lines)) return std::nullopt;
    }
  }
  take_place(targets[1]);  // and not the newest paddle of targets[0]: so the public generator does
  return targets;
}

bool Growth::try_distractor(Canvas& lines) {
  const Index free = PixelSet(mask_, kFree).count_outside();
  if (free * kLeastFree < shape_.side * shape_.side) return false;
  std::optional<Contour> contour = first_paddle(1);
  if (!contour) return false;
  const Canvas mask_before = mask_;
  const Canvas lines_before = lines;
  lines.stamp(newest(*contour).line, contour->tail);
  for (Index k = 1; k < shape_.distractor_paddles; ++k) {
    if (extend(*contour, lines)) continue;
    mask_ = mask_before;
    lines = lines_before;
    return false;
  }
  take_place(*contour);
  return true;
}

}  // namespace arena
