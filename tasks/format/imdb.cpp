#include "tasks/format/imdb.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include "harness/core/check.hpp"
#include "harness/core/hash.hpp"
#include "tasks/format/archive.hpp"
#include "tasks/format/text.hpp"

namespace arena {
namespace {

constexpr std::size_t kLongestReview = std::size_t{1} << 20;

/// Where a review stands.
struct Place {
  bool test = false;
  std::int32_t label = 0;
  std::int32_t id = 0;

  auto operator<=>(const Place&) const = default;
};

std::string_view take_last(std::string_view& path) {
  const std::string_view last = file_name(path);
  path.remove_suffix(std::min(path.size(), last.size() + 1));
  return last;
}

/// The folder part of a place and the file's name, where this is a labelled review.
std::optional<std::pair<Place, std::string_view>> parse_folders(std::string_view path) {
  const std::string_view file = take_last(path);
  const std::string_view label = take_last(path);
  const std::string_view part = take_last(path);
  const bool labelled = (part == "train" || part == "test") && (label == "neg" || label == "pos");
  if (!labelled || !file.ends_with(".txt")) return std::nullopt;
  return std::pair(Place{.test = part == "test", .label = label == "pos" ? 1 : 0}, file);
}

/// A whole number at the front of `text`, which loses it; -1 where there is none.
std::int32_t take_number(std::string_view& text) {
  std::int32_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return -1;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

Place parse_place(const Member& member, const std::string& where) {
  auto [place, file] = *parse_folders(member.name);
  place.id = take_number(file);
  const bool separated = file.starts_with('_');
  file.remove_prefix(separated ? 1 : 0);
  const std::int32_t rating = take_number(file);
  check(place.id >= 0 && separated && rating >= 0 && file == ".txt",
        "{}: expected a name ID_RATING.txt", where);
  const bool fits = place.label == 0 ? rating >= 1 && rating <= 4 : rating >= 7 && rating <= 10;
  check(fits, "{}: rating {} in folder {}, expected {}", where, rating,
        place.label == 0 ? "neg" : "pos", place.label == 0 ? "1 to 4" : "7 to 10");
  return place;
}

ImdbReview parse_review(const Member& member, std::int32_t label, const std::string& where) {
  check_utf8(member.content, where);
  ImdbReview review{.text = std::string(stripped(member.content)), .label = label};
  check(!review.text.empty(), "{}: an empty review", where);
  review.content_hash = fnv1a(review.text);
  return review;
}

}  // namespace

ImdbData read_imdb(const std::string& path) {
  MemberReader reader(path, {.bytes = kLongestReview, .wanted = [](std::string_view name) {
                               return parse_folders(name).has_value();
                             }});
  std::map<Place, ImdbReview> reviews;
  while (const std::optional<Member> member = reader.next()) {
    const std::string where = reader.where(*member);
    const Place place = parse_place(*member, where);
    const bool first = reviews.emplace(place, parse_review(*member, place.label, where)).second;
    check(first, "{}: a second review with this id", where);
  }
  ImdbData data{.content_hash = kFnvStart};
  for (auto& [place, review] : reviews) {
    const std::array<std::int32_t, 3> where{place.test ? 1 : 0, place.label, place.id};
    data.content_hash = fnv1a(std::span<const std::int32_t>(where), data.content_hash);
    data.content_hash = fnv1a(review.text, data.content_hash);
    (place.test ? data.test : data.train).push_back(std::move(review));
  }
  for (auto* part : {&data.train, &data.test}) {
    std::ranges::stable_sort(*part, {}, &ImdbReview::content_hash);
  }
  return data;
}

}  // namespace arena
