#pragma once
// Pairs of papers as Long Range Arena has them: lines label<TAB>id<TAB>id<TAB>text<TAB>text without
// header or quoting, in one file for each of train, eval and test.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

/// Texts, each distinct one kept once: a paper stands in many pairs.
class Documents {
 public:
  Documents() = default;
  Documents(const Documents&) = delete;
  Documents& operator=(const Documents&) = delete;

  /// Number of the text in the order in which texts came first.
  Index add(std::string_view text);
  const std::string& operator[](Index i) const { return texts_[static_cast<std::size_t>(i)]; }
  Index size() const { return static_cast<Index>(texts_.size()); }

 private:
  std::deque<std::string> texts_{};  // stays in place as it grows
  std::unordered_map<std::string_view, Index> numbers_{};
};

struct AanPair {
  std::int32_t label = 0;       // 1: one of the two cites the other
  Index first = 0, second = 0;  // in Documents
};

struct AanFile {
  std::vector<AanPair> pairs{};    // in the file's order
  Index without_text = 0;          // rows with an empty text, checked but not in `pairs`
  Index cut = 0;                   // texts longer than max_len in `pairs`
  std::uint64_t content_hash = 0;  // of all lines
};

/// Reads one file, plain, gzipped or xz'd, and adds the first max_len bytes of its texts to
/// `documents`. Throws Error naming file, line and fault on anything but five fields, a label other
/// than 0.0 and 1.0, a text that is not UTF-8, and a file without a pair of two texts.
AanFile read_aan_tsv(const std::string& path, Index max_len, Documents& documents);

}  // namespace arena
