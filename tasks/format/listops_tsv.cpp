#include "tasks/format/listops_tsv.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include "harness/core/check.hpp"
#include "harness/core/hash.hpp"
#include "tasks/format/listops_expression.hpp"
#include "tasks/format/text.hpp"
#include "tasks/format/tsv.hpp"

namespace arena {
namespace {

constexpr std::string_view kHeader = "Source\tTarget";

bool is_label(std::string_view field) {
  return field.size() == 1 && field[0] >= '0' && field[0] <= '9';
}

std::int32_t token_id(const LineReader& reader, std::string_view word) {
  if (word == "]") return kListopsClose;
  const auto found = std::ranges::find(kListopsTokens, word);
  const auto id = static_cast<std::int32_t>(found - kListopsTokens.begin());
  check(found != kListopsTokens.end() && id != kListopsClose,
        "{}: token {} is not in the vocabulary [MIN [MAX [MED [SM ] 0..9", reader.where(),
        shown(word));
  return id;
}

/// The tokens between spaces; parentheses only mark the binary tree and are checked and dropped.
std::vector<std::int32_t> parse_expression(const LineReader& reader, std::string_view text) {
  std::vector<std::int32_t> tokens;
  Index parentheses = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word == "(" || word == ")") {
      parentheses += word == "(" ? 1 : -1;
      check(parentheses >= 0, "{}: a ')' without its '('", reader.where());
    } else if (!word.empty()) {
      tokens.push_back(token_id(reader, word));
    }
  }
  check(parentheses == 0, "{}: {} '(' are not closed", reader.where(), parentheses);
  return tokens;
}

ListopsRow parse_row(const LineReader& reader, std::string_view line, bool label_first) {
  const std::vector<std::string_view> fields = tab_fields(line);
  check(fields.size() == 2, "{}: {} fields between tabs, expected an expression and a label",
        reader.where(), fields.size());
  const std::string_view label = fields[label_first ? 0 : 1];
  check(is_label(label), "{}: label {} is not a digit", reader.where(), shown(label));
  ListopsRow row{parse_expression(reader, fields[label_first ? 1 : 0]), label[0] - '0'};
  const ListopsEvaluation evaluation = evaluate_listops(row.tokens);
  check(evaluation.fault.empty(), "{}: malformed expression: {}", reader.where(), evaluation.fault);
  check(evaluation.value == row.label, "{}: label {}, but the expression's value is {}",
        reader.where(), row.label, evaluation.value);
  return row;
}

/// Of an operator with n arguments: n + 1 parentheses are open before it, and one of them closes
/// behind each argument and behind the bracket.
std::size_t arguments_of(std::span<const std::int32_t> tokens, std::size_t op) {
  std::size_t arguments = 0;
  Index level = 0;
  for (std::size_t i = op + 1; level >= 0; ++i) {
    if (tokens[i] == kListopsClose) {
      --level;
      continue;
    }
    arguments += level == 0 ? 1 : 0;
    level += is_listops_operator(tokens[i]) ? 1 : 0;
  }
  return arguments;
}

}  // namespace

std::string listops_tsv_row(const ListopsRow& row) {
  std::string text;
  Index level = 0;
  for (std::size_t i = 0; i < row.tokens.size(); ++i) {
    const std::int32_t token = row.tokens[i];
    if (is_listops_operator(token)) {
      for (std::size_t p = 0; p <= arguments_of(row.tokens, i); ++p) text += "( ";
      ++level;
    }
    const bool closes = token == kListopsClose;
    text += closes ? "]" : kListopsTokens[static_cast<std::size_t>(token)];
    if (closes) {
      --level;
      text += " )";
    }
    // An argument is over behind a digit or a closing bracket.
    if (level > 0 && !is_listops_operator(token)) text += " )";
    text += ' ';
  }
  text.back() = '\t';
  return text + std::to_string(row.label) + "\r\n";
}

ListopsFile read_listops_tsv(const std::string& path, Index max_len) {
  LineReader reader(path);
  std::optional<std::string_view> line = reader.next();
  const bool has_header = line == kHeader;
  if (has_header) {
    line = reader.next();
  } else if (line) {
    check(is_label(tab_fields(*line)[0]),
          "{}: neither the header 'Source<TAB>Target' nor a row 'label<TAB>expression': {}",
          reader.where(), shown(*line));
  }
  check(line.has_value(), "{}: no rows", path);
  ListopsFile file;
  file.content_hash = kFnvStart;
  for (; line; line = reader.next()) {
    ListopsRow row = parse_row(reader, *line, !has_header);
    file.content_hash = fnv1a(std::span<const std::int32_t>(row.tokens), file.content_hash);
    file.content_hash =
        fnv1a(std::span<const std::int32_t>(&row.label, std::size_t{1}), file.content_hash);
    if (static_cast<Index>(row.tokens.size()) <= max_len) {
      file.rows.push_back(std::move(row));
    } else {
      ++file.too_long;
    }
  }
  return file;
}

}  // namespace arena
