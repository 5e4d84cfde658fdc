#include "harness/cli/arguments.hpp"

#include <charconv>

#include "harness/core/check.hpp"

namespace arena {
namespace {

template <class Number>
bool parse_whole(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::vector<std::string> parse_list(const std::string& text) {
  return text.empty() ? std::vector<std::string>{} : split_list(text);
}

std::vector<std::uint64_t> parse_seeds(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  for (const std::string& item : parse_list(text)) {
    check(parse_whole(item, seeds.emplace_back()),
          "bad seed '{}': expected whole numbers such as 0,1,2", item);
  }
  return seeds;
}

Index parse_bytes(const std::string& text) {
  if (text.empty()) return 0;
  const std::string units = "KMGT";
  const std::size_t unit = units.find(text.back());
  const std::string_view digits =
      std::string_view(text).substr(0, text.size() - (unit == std::string::npos ? 0 : 1));
  Index bytes = 0;
  const int shift = unit == std::string::npos ? 0 : 10 * (static_cast<int>(unit) + 1);
  check(parse_whole(digits, bytes) && bytes > 0 && bytes < Index{1} << (62 - shift),
        "bad number of bytes '{}': expected such as 1500000, 512M or 2G", text);
  return bytes << shift;
}

std::string options_text(std::span<const OptionSpec> specs) {
  std::string text;
  for (const OptionSpec& spec : specs) {
    text += fmt::format("  {:<22} {:<12} {:<22} {}\n", spec.name, option_text(spec.fallback),
                        option_range(spec), spec.help);
  }
  return text;
}

}  // namespace arena
