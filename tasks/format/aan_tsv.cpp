#include "tasks/format/aan_tsv.hpp"

#include <fmt/format.h>

#include "harness/core/check.hpp"
#include "harness/core/hash.hpp"
#include "tasks/format/text.hpp"
#include "tasks/format/tsv.hpp"

namespace arena {
namespace {

constexpr std::size_t kFields = 5;
constexpr std::size_t kFirstText = 3;

std::vector<std::string_view> parse_line(std::string_view line, const std::string& where) {
  const std::vector<std::string_view> fields = tab_fields(line);
  check(fields.size() == kFields, "{}: {} fields between tabs, expected label, id, id, text, text",
        where, fields.size());
  check(fields[0] == "0.0" || fields[0] == "1.0", "{}: label {}, expected 0.0 or 1.0", where,
        shown(fields[0]));
  for (std::size_t f = kFirstText; f < kFields; ++f) {
    check_utf8(fields[f], fmt::format("{}, field {}", where, f + 1));
  }
  return fields;
}

}  // namespace

Index Documents::add(std::string_view text) {
  const auto known = numbers_.find(text);
  if (known != numbers_.end()) return known->second;
  const std::string& kept = texts_.emplace_back(text);
  return numbers_.emplace(kept, size() - 1).first->second;
}

AanFile read_aan_tsv(const std::string& path, Index max_len, Documents& documents) {
  const auto longest = static_cast<std::size_t>(max_len);
  LineReader reader(path);
  AanFile file{.content_hash = kFnvStart};
  while (const std::optional<std::string_view> line = reader.next()) {
    const std::vector<std::string_view> fields = parse_line(*line, reader.where());
    file.content_hash = fnv1a("\n", fnv1a(*line, file.content_hash));
    if (fields[kFirstText].empty() || fields[kFirstText + 1].empty()) {
      ++file.without_text;
      continue;
    }
    for (const std::string_view text : {fields[kFirstText], fields[kFirstText + 1]}) {
      file.cut += text.size() > longest ? 1 : 0;
    }
    file.pairs.push_back({.label = fields[0] == "1.0" ? 1 : 0,
                          .first = documents.add(fields[kFirstText].substr(0, longest)),
                          .second = documents.add(fields[kFirstText + 1].substr(0, longest))});
  }
  check(!file.pairs.empty(), "{}: no pair of two texts", path);
  return file;
}

}  // namespace arena
