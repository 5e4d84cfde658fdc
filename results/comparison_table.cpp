// Comparisons as a grid, for every output format.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "results/compare.hpp"
#include "results/units.hpp"

namespace arena {
namespace {

/// "ms", "MiB" or "%", and how many of a record's units that is.
std::pair<const char*, double> unit_of(const std::string& measure) {
  if (measure == "time") return {"ms", kMillisecond};
  if (measure == "accuracy") return {"%", kPercent};
  return {"MiB", kMebibyte};
}

GridCell change_cell(const std::optional<double>& change) {
  return fixed(change ? std::optional(*change / kPercent) : std::nullopt, 2);
}

}  // namespace

Tables comparison_tables(const ComparisonResult& result) {
  Grid grid{.title = "",
            .columns = {"verdict", "measure", "cell", "base", "new", "unit", "change_percent",
                        "low", "high", "p", "why"},
            .rows = {}};
  std::map<Verdict, int> counts;
  for (const Comparison& row : result.comparisons) {
    const auto [unit, per_unit] = unit_of(row.measure);
    const auto bound = [&](double Interval::*end) {
      return change_cell(row.interval ? std::optional((*row.interval).*end) : std::nullopt);
    };
    grid.rows.push_back({words(verdict_text(row.verdict)), words(row.measure), words(row.cell),
                         number(row.base, per_unit), number(row.next, per_unit), words(unit),
                         change_cell(row.change), bound(&Interval::low), bound(&Interval::high),
                         row.p ? fixed(row.p, 4) : words("-"), words(row.why)});
    ++counts[row.verdict];
  }
  std::vector<std::string> parts;
  for (const auto& [verdict, count] : counts) {
    parts.push_back(fmt::format("{} {}", count, verdict_text(verdict)));
  }
  Tables tables{.grids = {std::move(grid)},
                .notes = {fmt::format("{}. low, high: 95 % interval of the change, of accuracies "
                                      "in points; p by Holm's correction over all.",
                                      fmt::join(parts, ", "))}};
  tables.notes.insert(tables.notes.end(), result.notes.begin(), result.notes.end());
  return tables;
}

}  // namespace arena
