#pragma once
// ListOps data files: Long Range Arena's (header Source<TAB>Target, then expression<TAB>label) and
// the original ones of New York University (label<TAB>expression, no header), told apart by their
// first line.

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

struct ListopsRow {
  std::vector<std::int32_t> tokens;  // ids of listops_expression.hpp, parentheses left out
  std::int32_t label = 0;            // 0 to 9
};

struct ListopsFile {
  std::vector<ListopsRow> rows{};
  Index too_long = 0;              // rows of more than max_len tokens, checked but not in `rows`
  std::uint64_t content_hash = 0;  // of tokens and labels of all rows, whatever the file's format
};

/// Reads all rows, plain or gzipped. Throws Error with Failure::kNoData where there is no file, and
/// one naming file, line and fault on a token outside the vocabulary ([FIRST, [LAST), unbalanced
/// brackets, a label that is not the expression's value, or anything but two fields.
ListopsFile read_listops_tsv(const std::string& path, Index max_len);

/// How Long Range Arena's files begin, and a row of them as its generator writes it, with the
/// parentheses of the binary tree.
constexpr const char* kListopsHeader = "Source\tTarget\r\n";
std::string listops_tsv_row(const ListopsRow& row);

}  // namespace arena
