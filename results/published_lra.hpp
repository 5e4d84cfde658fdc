#pragma once
// Figures that others have published for Long Range Arena, as printed there.

#include <array>
#include <span>
#include <string_view>

namespace arena {

/// ListOps, Text, Retrieval, Image, Pathfinder, Path-X.
inline constexpr std::array<std::string_view, 6> kLraTasks{"listops", "text",       "retrieval",
                                                           "image",   "pathfinder", "pathx"};

struct PublishedAccuracy {
  static constexpr double kFail = -1;  // printed as a failure to learn
  static constexpr double kNone = -2;  // not given

  std::string_view mechanism;     // the variant here; "" = there is none
  std::string_view setup;         // name of a PublishedSetup
  std::string_view model;         // its name there
  std::array<double, 6> percent;  // in the order of kLraTasks
};

/// A training step on 1, 2, 3 and 4 K bytes of text.
struct PublishedSpeed {
  std::string_view mechanism, model;
  std::array<double, 4> steps_per_s, gigabytes;
};

struct PublishedSetup {
  std::string_view name, what;
};

std::span<const PublishedAccuracy> published_accuracies();
/// Of the setup "LRA".
std::span<const PublishedSpeed> published_speeds();
std::span<const PublishedSetup> published_setups();

}  // namespace arena
