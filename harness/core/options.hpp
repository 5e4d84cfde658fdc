#pragma once
// Named options with type, range and default; "name[key=value,...]" as written on a command line.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "harness/core/matrix.hpp"

namespace arena {

using OptionValue = std::variant<Index, double, bool, std::string>;
using OptionTexts = std::map<std::string, std::string>;

/// One option: its type is that of `fallback`; numbers lie in [low, high], texts in `choices`
/// unless that is empty (any text).
struct OptionSpec {
  std::string name;
  std::string help;
  OptionValue fallback;
  double low = 0;
  double high = 0;
  std::vector<std::string> choices{};
};

OptionSpec integer_option(std::string name, Index fallback, Index low, Index high,
                          std::string help);
OptionSpec real_option(std::string name, double fallback, double low, double high,
                       std::string help);
OptionSpec switch_option(std::string name, bool fallback, std::string help);
OptionSpec choice_option(std::string name, std::string fallback, std::vector<std::string> choices,
                         std::string help);
OptionSpec text_option(std::string name, std::string fallback, std::string help);

/// Parses one value; throws Error with the option's name, the value and what was expected.
/// `owner` is the name shown in messages ("linformer").
OptionValue parse_option(const std::string& owner, const OptionSpec& spec, const std::string& text);
/// The shortest text that parse_option reads back as the same value.
std::string option_text(const OptionValue& value);
/// "1..1024", "a | b", "true | false", "text".
std::string option_range(const OptionSpec& spec);

/// A complete set of values: every option of its specs, defaults included.
class Options {
 public:
  Options() = default;
  /// Defaults of `specs` overridden by `texts`; throws Error on an unknown name or a bad value.
  Options(const std::string& owner, std::span<const OptionSpec> specs, const OptionTexts& texts);

  Index integer(std::string_view name) const { return std::get<Index>(value(name)); }
  double real(std::string_view name) const { return std::get<double>(value(name)); }
  bool on(std::string_view name) const { return std::get<bool>(value(name)); }
  const std::string& text(std::string_view name) const {
    return std::get<std::string>(value(name));
  }
  const OptionValue& value(std::string_view name) const;
  const std::map<std::string, OptionValue, std::less<>>& values() const { return values_; }

  /// "[rank=64]": the options that differ from the defaults of `specs`; "" when none does.
  std::string difference(std::span<const OptionSpec> specs) const;

  bool operator==(const Options&) const = default;

 private:
  std::map<std::string, OptionValue, std::less<>> values_;
};

/// "linformer[rank=64]" taken apart.
struct NamedOptions {
  std::string name;
  OptionTexts options;
};

/// Parses one NAME or NAME[key=value,...]; throws Error showing the text and what is wrong.
NamedOptions parse_named(const std::string& text);
/// Splits at commas outside brackets: "a,b[x=1,y=2]" -> {"a", "b[x=1,y=2]"}.
std::vector<std::string> split_list(const std::string& text);
/// Lengths: "512,1024" or ranges "256:16384:x2" (times) and "100:500:+100" (plus); all positive.
std::vector<Index> parse_lengths(const std::string& text);

}  // namespace arena
