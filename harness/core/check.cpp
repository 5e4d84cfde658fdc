#include "harness/core/check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace arena {
namespace {

/// Levenshtein distance with one rolling row.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string one_line(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7F) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

Error::Error(const std::string& message, Failure failure)
    : std::runtime_error(one_line(message)), failure_(failure) {}

void fail_with(Failure failure, fmt::string_view format, fmt::format_args args) {
  throw Error(fmt::vformat(format, args), failure);
}

std::string unknown_name(std::string_view kind, std::string_view name,
                         std::span<const std::string> candidates) {
  std::string message = fmt::format("unknown {} '{}'", kind, name);
  if (candidates.empty()) return message;
  const std::string* nearest = nullptr;
  std::size_t least = std::max<std::size_t>(2, name.size() / 2) + 1;
  for (const std::string& candidate : candidates) {
    const auto [shorter, longer] = std::minmax({name.size(), candidate.size()});
    if (longer - shorter >= least) continue;  // so many letters more
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < least) least = distance, nearest = &candidate;
  }
  if (nearest) message += fmt::format("; did you mean '{}'?", *nearest);
  return message + fmt::format(" (known: {})", fmt::join(candidates, ", "));
}

}  // namespace arena
