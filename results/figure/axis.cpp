// Ranges and ticks of axes, and the looks of series.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <set>

#include "results/figure/figure.hpp"

namespace arena {
namespace {

constexpr double kLengthMargin = 0.06;   // of the range of lengths
constexpr std::size_t kMostLengths = 7;  // ticks of a length axis
constexpr double kMostTicks = 6;
constexpr int kFewestDecadeTicks = 3;

/// "0.001", "250", "20k", "10⁻⁷".
std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size >= 1e6 && size < 1e9) return fmt::format("{:.6g}M", value / 1e6);
  if (size >= 1e4 && size < 1e6) return fmt::format("{:.6g}k", value / 1e3);
  if (size == 0 || (size >= 1e-3 && size < 1e4)) return fmt::format("{:.6g}", value);
  static constexpr std::array<const char*, 10> kRaised{"⁰", "¹", "²", "³", "⁴",
                                                       "⁵", "⁶", "⁷", "⁸", "⁹"};
  const int power = static_cast<int>(std::floor(std::log10(size) + 1e-9));
  const auto factor = std::lround(value / std::pow(10.0, power));
  std::string text = factor == 1 ? "10" : fmt::format("{}·10", factor);
  if (power < 0) text += "⁻";
  for (const char digit : fmt::format("{}", std::abs(power))) {
    text += kRaised[static_cast<std::size_t>(digit - '0')];
  }
  return text;
}

/// Powers of ten in the range times each of `factors`.
std::vector<Tick> decade_ticks(double low, double high, const std::vector<int>& factors) {
  std::vector<Tick> ticks;
  const int last = static_cast<int>(std::floor(std::log10(high)));
  for (int power = static_cast<int>(std::floor(std::log10(low))); power <= last; ++power) {
    for (const int factor : factors) {
      const double at = factor * std::pow(10.0, power);
      if (at >= low * (1 - 1e-9) && at <= high * (1 + 1e-9)) ticks.push_back({at, tick_text(at)});
    }
  }
  return ticks;
}

std::vector<Tick> logarithmic_ticks(double low, double high) {
  std::vector<Tick> ticks = decade_ticks(low, high, {1});
  if (ticks.size() < kFewestDecadeTicks) ticks = decade_ticks(low, high, {1, 2, 5});
  if (ticks.size() < 2) {
    ticks = decade_ticks(low, high, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
  const auto most = static_cast<std::size_t>(kMostTicks) + 2;
  const std::size_t step = (ticks.size() + most - 1) / most;
  std::vector<Tick> kept;
  for (std::size_t i = 0; i < ticks.size(); i += step) kept.push_back(ticks[i]);
  return kept;
}

std::vector<Tick> linear_ticks(double low, double high) {
  const double rough = (high - low) / kMostTicks;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double part = rough / power;
  const double step = power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
  std::vector<Tick> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) {
    const double at = i * step + 0.0;  // no -0
    ticks.push_back({at, tick_text(at)});
  }
  return ticks;
}

}  // namespace

Axis axis_around(std::string label, bool logarithmic, const std::vector<double>& values,
                 double margin) {
  Axis axis{.label = std::move(label), .logarithmic = logarithmic};
  const auto [least, most] = std::ranges::minmax(values);
  if (logarithmic) {
    const double decades = std::max(std::log10(most / least), 0.3);
    const double middle = std::sqrt(least) * std::sqrt(most);
    const double half = std::pow(10.0, decades * (0.5 + margin));
    axis.low = middle / half, axis.high = middle * half;
    axis.ticks = logarithmic_ticks(axis.low, axis.high);
  } else {
    const double range = most > least ? most - least : std::max(std::abs(most), 1.0);
    axis.low = least - range * margin, axis.high = most + range * margin;
    axis.ticks = linear_ticks(axis.low, axis.high);
  }
  return axis;
}

Axis length_axis(const std::vector<Index>& lengths) {
  Axis axis{.label = "length in tokens", .logarithmic = true};
  const auto [least, most] = std::ranges::minmax(lengths);
  const double spread = std::max(static_cast<double>(most) / static_cast<double>(least), 2.0);
  const double margin = std::pow(spread, kLengthMargin);
  axis.low = static_cast<double>(least) / margin, axis.high = static_cast<double>(most) * margin;
  if (least == most) axis.low /= 2, axis.high *= 2;
  const std::set<Index> sorted(lengths.begin(), lengths.end());
  const std::vector<Index> all(sorted.begin(), sorted.end());
  const std::size_t step = (all.size() + kMostLengths - 1) / kMostLengths;
  for (std::size_t back = 0; back < all.size(); back += step) {
    const Index length = all[all.size() - 1 - back];
    axis.ticks.push_back({static_cast<double>(length), fmt::format("{}", length)});
  }
  std::ranges::reverse(axis.ticks);
  return axis;
}

std::map<std::string, Look> looks_of(const RecordSet& set) {
  const auto before = [](const std::string& a, const std::string& b) {
    return variant_before(a, b);
  };
  std::map<std::string, std::set<std::string>, decltype(before)> rows(before);  // by variant
  for (const Record& record : set.records) {
    rows[record.variant].insert(set.labels.variant(record));
  }
  std::map<std::string, Look> looks;
  std::size_t color = 0;
  for (const auto& [variant, names] : rows) {
    std::size_t option = 0;
    for (const std::string& name : names) {
      looks[name] = {.color = color, .shape = color + 3 * option, .dash = option};
      ++option;
    }
    ++color;
  }
  return looks;
}

std::vector<Figure> figures_of(const RecordSet& set) {
  std::vector<Figure> all = tradeoff_figures(set);
  for (auto* const make : {scaling_figures, learning_figures}) {
    for (Figure& figure : make(set)) all.push_back(std::move(figure));
  }
  std::map<std::string, int> seen;
  for (Figure& figure : all) {
    // Scopes and passes come out of files, and ids become names of files.
    std::ranges::replace_if(
        figure.id, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    if (const int count = ++seen[figure.id]; count > 1) figure.id += fmt::format("_{}", count);
  }
  return all;
}

}  // namespace arena
