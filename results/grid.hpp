#pragma once
// A table before it is text: every output format prints the same cells.

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace arena {

/// Marks of cells: the best of their column, and those not to be told from it.
inline constexpr const char* kBest = "best";
inline constexpr const char* kTied = "tied";

/// One cell: a number as it is printed (with its deviation, if it has one), or words.
struct GridCell {
  std::string text{};
  std::string deviation{};  // "" = none
  std::string remark{};     // said behind the value: "1 of 3 CRASHED"
  std::string mark{};       // kBest, kTied, or "" for neither
  bool number = false;

  bool operator==(const GridCell&) const = default;
};

struct Grid {
  std::string title{};
  std::vector<std::string> columns{};
  std::vector<std::vector<GridCell>> rows{};
};

/// What a view makes of records, and what has to be said under it.
struct Tables {
  std::vector<Grid> grids{};
  std::vector<std::string> notes{};
};

GridCell words(std::string text);
/// A number with three significant digits and no exponent; an absent one is the word "-".
GridCell number(const std::optional<double>& value, double per_unit = 1);
/// A number with a fixed count of decimals.
GridCell fixed(const std::optional<double>& value, int decimals);
GridCell whole(const std::optional<double>& value);

/// Sorts the rows of each grid that has the column, numbers before words; "-NAME" sorts downwards.
/// Throws Error naming the nearest column when no grid has it.
void sort_rows(Tables& tables, const std::string& column);
/// Keeps the named columns in the order given. Throws Error when no grid has one of them.
void select_columns(Tables& tables, std::span<const std::string> columns);

}  // namespace arena
