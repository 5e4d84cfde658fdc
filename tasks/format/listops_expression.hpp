#pragma once
// ListOps expressions as token ids ([MAX 3 5 9] is the sequence  [MAX 3 5 9 X): value, text, and
// random ones.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/matrix.hpp"
#include "harness/core/random.hpp"

namespace arena {

/// Token ids, in the order of the project's fixed vocabulary; a digit d is kListopsDigit + d.
constexpr std::int32_t kListopsMin = 0;
constexpr std::int32_t kListopsMax = 1;
constexpr std::int32_t kListopsMed = 2;
constexpr std::int32_t kListopsSm = 3;
constexpr std::int32_t kListopsClose = 4;
constexpr std::int32_t kListopsDigit = 5;
constexpr std::int32_t kListopsVocabulary = 15;

/// As data files write them; the closing bracket is X in the project, ] in files.
constexpr std::array<std::string_view, kListopsVocabulary> kListopsTokens = {
    "[MIN", "[MAX", "[MED", "[SM", "X", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

constexpr bool is_listops_operator(std::int32_t token) {
  return token >= kListopsMin && token <= kListopsSm;
}
constexpr bool is_listops_digit(std::int32_t token) {
  return token >= kListopsDigit && token < kListopsVocabulary;
}

/// How often each digit stands among an operator's arguments: all that its value depends on.
using DigitCounts = std::array<Index, 10>;

/// Value of an operator, 0 to 9. MED is the median, of an even count the mean of the two middle
/// values without its fraction; SM is the sum modulo 10. There must be at least one argument.
std::int32_t listops_value(std::int32_t op, const DigitCounts& arguments);

struct ListopsEvaluation {
  std::int32_t value = 0;  // 0 to 9
  std::string fault{};     // what is wrong with the expression; "" where nothing is
};

/// Value of a whole expression of any depth.
ListopsEvaluation evaluate_listops(std::span<const std::int32_t> tokens);

constexpr Index kListopsMaxDepth = 10;  // of drawn trees; the root is at depth 1

/// Replaces `tokens` by one random tree of Long Range Arena's generator; false where it reached
/// max_len tokens and was given up. Three in four trees are a single digit.
bool draw_listops(RandomStream& stream, Index max_len, std::vector<std::int32_t>& tokens);

/// "[MAX 3 5 [MIN 2 4]]" of a well-formed expression; an operator that lies deeper than `depth`
/// levels is shown as its length and value: "(MIN of 4 tokens: 2)".
std::string listops_text(std::span<const std::int32_t> tokens, Index depth);

}  // namespace arena
