#include "harness/core/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr std::size_t kMaxLengths = 1000;  // of one range: more is a slip of the keyboard

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<OptionValue> parse_as(const OptionSpec& spec, const std::string& text) {
  if (std::holds_alternative<Index>(spec.fallback)) {
    const auto number = parse_number<Index>(text);
    if (!number || static_cast<double>(*number) < spec.low ||
        static_cast<double>(*number) > spec.high) {
      return std::nullopt;
    }
    return *number;
  }
  if (std::holds_alternative<double>(spec.fallback)) {
    const auto number = parse_number<double>(text);
    if (!number || !std::isfinite(*number) || *number < spec.low || *number > spec.high) {
      return std::nullopt;
    }
    return *number;
  }
  if (std::holds_alternative<bool>(spec.fallback)) {
    if (text == "true") return true;
    if (text == "false") return false;
    return std::nullopt;
  }
  const bool known = spec.choices.empty() || std::ranges::count(spec.choices, text) > 0;
  return known ? std::optional<OptionValue>(text) : std::nullopt;
}

std::vector<std::string> names_of(std::span<const OptionSpec> specs) {
  std::vector<std::string> names;
  for (const OptionSpec& spec : specs) names.push_back(spec.name);
  return names;
}

std::vector<Index> parse_range(const std::string& item) {
  const std::size_t first = item.find(':');
  const std::size_t second = item.find(':', first + 1);
  check(second != std::string::npos && second + 2 <= item.size(),
        "bad length range '{}': expected START:END:xFACTOR or START:END:+STEP", item);
  const auto start = parse_number<Index>(std::string_view(item).substr(0, first));
  const auto end =
      parse_number<Index>(std::string_view(item).substr(first + 1, second - first - 1));
  const auto step = parse_number<Index>(std::string_view(item).substr(second + 2));
  const bool times = item[second + 1] == 'x';
  check(start && end && step && (times || item[second + 1] == '+') && *start > 0 &&
            *start <= *end && *step > (times ? 1 : 0),
        "bad length range '{}': expected START:END:xFACTOR or START:END:+STEP", item);
  std::vector<Index> lengths;
  for (Index length = *start;; length = times ? length * *step : length + *step) {
    lengths.push_back(length);
    check(lengths.size() <= kMaxLengths, "length range '{}' has more than {} lengths", item,
          kMaxLengths);
    if (times ? length > *end / *step : length > *end - *step) return lengths;
  }
}

}  // namespace

OptionSpec integer_option(std::string name, Index fallback, Index low, Index high,
                          std::string help) {
  return {std::move(name), std::move(help), fallback, static_cast<double>(low),
          static_cast<double>(high)};
}

OptionSpec real_option(std::string name, double fallback, double low, double high,
                       std::string help) {
  return {std::move(name), std::move(help), fallback, low, high};
}

OptionSpec switch_option(std::string name, bool fallback, std::string help) {
  return {std::move(name), std::move(help), fallback};
}

OptionSpec choice_option(std::string name, std::string fallback, std::vector<std::string> choices,
                         std::string help) {
  return {std::move(name), std::move(help), std::move(fallback), 0, 0, std::move(choices)};
}

OptionSpec text_option(std::string name, std::string fallback, std::string help) {
  return {std::move(name), std::move(help), std::move(fallback)};
}

std::string option_text(const OptionValue& value) {
  if (const auto* number = std::get_if<Index>(&value)) return fmt::format("{}", *number);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  return std::get<std::string>(value);
}

std::string option_range(const OptionSpec& spec) {
  if (std::holds_alternative<Index>(spec.fallback)) {
    return fmt::format("{:.0f}..{:.0f}", spec.low, spec.high);
  }
  if (std::holds_alternative<double>(spec.fallback)) {
    return fmt::format("{}..{}", spec.low, spec.high);
  }
  if (std::holds_alternative<bool>(spec.fallback)) return "true | false";
  return spec.choices.empty() ? "text" : fmt::format("{}", fmt::join(spec.choices, " | "));
}

OptionValue parse_option(const std::string& owner, const OptionSpec& spec,
                         const std::string& text) {
  const auto value = parse_as(spec, text);
  check(value.has_value(), "{}: option {}='{}' is not in {}", owner, spec.name, text,
        option_range(spec));
  return *value;
}

Options::Options(const std::string& owner, std::span<const OptionSpec> specs,
                 const OptionTexts& texts) {
  for (const OptionSpec& spec : specs) values_[spec.name] = spec.fallback;
  for (const auto& [name, text] : texts) {
    const auto spec = std::ranges::find(specs, name, &OptionSpec::name);
    if (spec == specs.end()) {
      throw Error(fmt::format("{}: {}", owner, unknown_name("option", name, names_of(specs))));
    }
    values_[name] = parse_option(owner, *spec, text);
  }
}

const OptionValue& Options::value(std::string_view name) const {
  const auto found = values_.find(name);
  check(found != values_.end(), "no option named '{}' was declared", name);
  return found->second;
}

std::string Options::difference(std::span<const OptionSpec> specs) const {
  std::vector<std::string> parts;
  for (const OptionSpec& spec : specs) {
    const OptionValue& current = value(spec.name);
    if (current != spec.fallback) parts.push_back(spec.name + "=" + option_text(current));
  }
  return parts.empty() ? "" : fmt::format("[{}]", fmt::join(parts, ","));
}

NamedOptions parse_named(const std::string& text) {
  const std::size_t open = text.find('[');
  if (open == std::string::npos) return {text, {}};
  check(text.back() == ']' && open > 0, "cannot read '{}': expected NAME[key=value,...]", text);
  NamedOptions result{text.substr(0, open), {}};
  const std::string inside = text.substr(open + 1, text.size() - open - 2);
  for (const std::string& part : split_list(inside)) {
    const std::size_t equals = part.find('=');
    check(equals != std::string::npos && equals > 0, "cannot read '{}' in '{}': expected key=value",
          part, text);
    const bool fresh =
        result.options.emplace(part.substr(0, equals), part.substr(equals + 1)).second;
    check(fresh, "option '{}' stands twice in '{}'", part.substr(0, equals), text);
  }
  return result;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (const char c : text) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ',' && depth == 0) {
      parts.push_back(std::exchange(part, {}));
    } else {
      part += c;
    }
  }
  if (!part.empty() || !parts.empty()) parts.push_back(part);
  check(std::ranges::count(parts, "") == 0, "empty item in list '{}'", text);
  return parts;
}

std::vector<Index> parse_lengths(const std::string& text) {
  std::vector<Index> lengths;
  for (const std::string& item : split_list(text)) {
    if (item.find(':') != std::string::npos) {
      const auto range = parse_range(item);
      lengths.insert(lengths.end(), range.begin(), range.end());
      continue;
    }
    const auto length = parse_number<Index>(item);
    check(length && *length > 0, "bad length '{}': expected a positive whole number", item);
    lengths.push_back(*length);
  }
  check(!lengths.empty(), "no lengths in '{}'", text);
  return lengths;
}

}  // namespace arena
