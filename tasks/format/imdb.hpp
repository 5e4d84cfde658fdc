#pragma once
// The Large Movie Review Dataset: aclImdb/{train,test}/{pos,neg}/ID_RATING.txt, one review a file.

#include <cstdint>
#include <string>
#include <vector>

namespace arena {

struct ImdbReview {
  std::string text;                // UTF-8, without white space at its ends, at least one byte
  std::int32_t label = 0;          // 0: negative, 1: positive
  std::uint64_t content_hash = 0;  // of the text
};

struct ImdbData {
  /// In the order of their content hashes: the first ones are a fair sample of all.
  std::vector<ImdbReview> train{}, test{};
  std::uint64_t content_hash = 0;  // of all reviews with their places
};

/// Reads the labelled reviews of a folder or a tar archive (plain, gzipped, xz'd). Throws Error
/// naming file and place on another kind of name, a rating that is not of its folder (neg: 1 to 4,
/// pos: 7 to 10), an id that comes twice, and a text that is empty, above 1 MiB or not UTF-8.
ImdbData read_imdb(const std::string& path);

}  // namespace arena
