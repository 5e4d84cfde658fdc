#include "tasks/format/listops_expression.hpp"

#include <fmt/format.h>

namespace arena {
namespace {

/// The (position + 1)-th smallest argument.
std::int32_t ranked(const DigitCounts& arguments, Index position) {
  std::int32_t digit = 0;
  while (position >= arguments[static_cast<std::size_t>(digit)]) {
    position -= arguments[static_cast<std::size_t>(digit++)];
  }
  return digit;
}

/// Tokens from the operator at the front to its closing bracket.
std::size_t extent_of_operator(std::span<const std::int32_t> tokens) {
  Index open = 0;
  std::size_t i = 0;
  do {
    open += is_listops_operator(tokens[i]) ? 1 : tokens[i] == kListopsClose ? -1 : 0;
    ++i;
  } while (open > 0);
  return i;
}

/// Appends a tree whose root is at `depth`; false as soon as there are max_len tokens.
bool append_tree(RandomStream& stream, Index depth, std::size_t max_len,
                 std::vector<std::int32_t>& tokens) {
  constexpr std::uint32_t kQuarter = std::uint32_t{1} << 30;  // of all 32-bit words
  if (depth == kListopsMaxDepth || stream.word() >= kQuarter) {
    tokens.push_back(kListopsDigit + static_cast<std::int32_t>(stream.below(10)));
    return tokens.size() < max_len;
  }
  const Index arguments = 2 + stream.below(9);
  const std::size_t front = tokens.size();
  tokens.push_back(kListopsMin);  // the operator is drawn after its arguments
  for (Index i = 0; i < arguments; ++i) {
    if (!append_tree(stream, depth + 1, max_len, tokens)) return false;
  }
  tokens[front] = static_cast<std::int32_t>(stream.below(4));
  tokens.push_back(kListopsClose);
  return tokens.size() < max_len;
}

}  // namespace

bool draw_listops(RandomStream& stream, Index max_len, std::vector<std::int32_t>& tokens) {
  tokens.clear();
  return append_tree(stream, 1, static_cast<std::size_t>(max_len), tokens);
}

std::int32_t listops_value(std::int32_t op, const DigitCounts& arguments) {
  Index count = 0;
  Index sum = 0;
  for (std::size_t digit = 0; digit < arguments.size(); ++digit) {
    count += arguments[digit];
    sum += static_cast<Index>(digit) * arguments[digit];
  }
  switch (op) {
    case kListopsMin:
      return ranked(arguments, 0);
    case kListopsMax:
      return ranked(arguments, count - 1);
    case kListopsMed:
      return (ranked(arguments, (count - 1) / 2) + ranked(arguments, count / 2)) / 2;
    default:
      return static_cast<std::int32_t>(sum % 10);
  }
}

ListopsEvaluation evaluate_listops(std::span<const std::int32_t> tokens) {
  struct Open {
    std::int32_t op;
    DigitCounts arguments{};
  };
  std::vector<Open> open;
  std::int32_t value = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (is_listops_operator(tokens[i])) {
      open.push_back({tokens[i]});
      continue;
    }
    if (tokens[i] == kListopsClose) {
      if (open.empty()) return {.fault = "a closing bracket without an operator"};
      if (open.back().arguments == DigitCounts{}) return {.fault = "an operator without arguments"};
      value = listops_value(open.back().op, open.back().arguments);
      open.pop_back();
    } else {
      value = tokens[i] - kListopsDigit;
    }
    if (!open.empty()) {
      ++open.back().arguments[static_cast<std::size_t>(value)];
    } else if (i + 1 < tokens.size()) {
      return {.fault = "something follows the end of the expression"};
    }
  }
  if (!open.empty()) return {.fault = fmt::format("{} operators are not closed", open.size())};
  if (tokens.empty()) return {.fault = "an empty expression"};
  return {.value = value};
}

std::string listops_text(std::span<const std::int32_t> tokens, Index depth) {
  std::string text;
  Index level = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] == kListopsClose) {
      text += ']';
      --level;
      continue;
    }
    if (i > 0) text += ' ';
    const std::string_view name = kListopsTokens[static_cast<std::size_t>(tokens[i])];
    if (!is_listops_operator(tokens[i])) {
      text += name;
    } else if (level < depth) {
      text += name;
      ++level;
    } else {
      const auto inner = tokens.subspan(i, extent_of_operator(tokens.subspan(i)));
      text += fmt::format("({} of {} tokens: {})", name.substr(1), inner.size(),
                          evaluate_listops(inner).value);
      i += inner.size() - 1;
    }
  }
  return text;
}

}  // namespace arena
