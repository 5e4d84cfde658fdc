#include "results/grid.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "harness/core/check.hpp"

namespace arena {
namespace {

constexpr int kSignificantDigits = 3;
constexpr int kMaxDecimals = 9;

std::optional<std::size_t> column_of(const Grid& grid, const std::string& name) {
  const auto found = std::ranges::find(grid.columns, name);
  if (found == grid.columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - grid.columns.begin());
}

[[noreturn]] void fail_unknown_column(const Tables& tables, const std::string& name) {
  std::vector<std::string> known;
  for (const Grid& grid : tables.grids) {
    for (const std::string& column : grid.columns) {
      if (std::ranges::count(known, column) == 0) known.push_back(column);
    }
  }
  throw Error(unknown_name("column", name, known));
}

}  // namespace

GridCell words(std::string text) {
  return {.text = std::move(text)};
}

GridCell number(const std::optional<double>& value, double per_unit) {
  if (!value || !std::isfinite(*value)) return words("-");
  const double shown = *value / per_unit;
  const int magnitude = shown == 0 ? 0 : static_cast<int>(std::floor(std::log10(std::abs(shown))));
  const int decimals = std::clamp(kSignificantDigits - 1 - magnitude, 0, kMaxDecimals);
  return fixed(shown, decimals);
}

GridCell fixed(const std::optional<double>& value, int decimals) {
  if (!value || !std::isfinite(*value)) return words("-");
  return {.text = fmt::format("{:.{}f}", *value, decimals), .number = true};
}

GridCell whole(const std::optional<double>& value) {
  return fixed(value, 0);
}

void sort_rows(Tables& tables, const std::string& column) {
  const bool down = column.starts_with('-');
  const std::string name = down ? column.substr(1) : column;
  bool found = false;
  for (Grid& grid : tables.grids) {
    const auto at = column_of(grid, name);
    if (!at) continue;
    found = true;
    std::ranges::stable_sort(grid.rows, [&](const auto& a, const auto& b) {
      const GridCell& left = a[*at];
      const GridCell& right = b[*at];
      if (left.number != right.number) return left.number;
      if (!left.number) return down ? right.text < left.text : left.text < right.text;
      const double x = std::strtod(left.text.c_str(), nullptr);
      const double y = std::strtod(right.text.c_str(), nullptr);
      return down ? y < x : x < y;
    });
  }
  if (!found) fail_unknown_column(tables, name);
}

void select_columns(Tables& tables, std::span<const std::string> columns) {
  for (const std::string& name : columns) {
    const bool known = std::ranges::any_of(
        tables.grids, [&](const Grid& grid) { return column_of(grid, name).has_value(); });
    if (!known) fail_unknown_column(tables, name);
  }
  for (Grid& grid : tables.grids) {
    Grid chosen{.title = grid.title, .columns = {}, .rows = {}};
    chosen.rows.resize(grid.rows.size());
    for (const std::string& name : columns) {
      const auto at = column_of(grid, name);
      if (!at) continue;
      chosen.columns.push_back(name);
      for (std::size_t r = 0; r < grid.rows.size(); ++r) {
        chosen.rows[r].push_back(grid.rows[r][*at]);
      }
    }
    grid = std::move(chosen);
  }
  std::erase_if(tables.grids, [](const Grid& grid) { return grid.columns.empty(); });
}

}  // namespace arena
