#include "results/format.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/core/check.hpp"

namespace arena {
namespace {

using Json = nlohmann::ordered_json;

/// Number of characters that a terminal shows for UTF-8 text.
std::size_t shown_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string space(width - std::min(width, shown_width(text)), ' ');
  return right ? space + text : text + space;
}

std::string plain(const GridCell& cell) {
  std::string text = cell.text;
  if (!cell.deviation.empty()) text += " ± " + cell.deviation;
  if (!cell.remark.empty()) text += " (" + cell.remark + ")";
  return text;
}

/// A star behind the best, a wave behind what is not to be told from it.
std::string marked(const GridCell& cell) {
  return plain(cell) + (cell.mark == kBest ? " *" : cell.mark == kTied ? " ≈" : "");
}

/// For a terminal: numbers stand below each other, marked or not.
std::string terminal_cell(const Grid& grid, const GridCell& cell, std::size_t column) {
  const bool room =
      cell.number && cell.mark.empty() &&
      std::ranges::any_of(grid.rows, [&](const auto& row) { return !row[column].mark.empty(); });
  return marked(cell) + (room ? "  " : "");
}

/// A column is set to the right when it holds a number.
bool holds_numbers(const Grid& grid, std::size_t column) {
  return std::ranges::any_of(grid.rows, [&](const auto& row) { return row[column].number; });
}

std::vector<std::size_t> widths_of(const Grid& grid) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < grid.columns.size(); ++c) {
    std::size_t width = shown_width(grid.columns[c]);
    for (const auto& row : grid.rows)
      width = std::max(width, shown_width(terminal_cell(grid, row[c], c)));
    widths.push_back(width);
  }
  return widths;
}

std::string as_text(const Tables& tables) {
  std::string out;
  for (const Grid& grid : tables.grids) {
    const std::vector<std::size_t> widths = widths_of(grid);
    const auto line = [&](auto&& text_of) {
      std::string text;
      for (std::size_t c = 0; c < widths.size(); ++c) {
        text += (c == 0 ? "" : "  ") + padded(text_of(c), widths[c], holds_numbers(grid, c));
      }
      text.erase(text.find_last_not_of(' ') + 1);
      out += text + "\n";
    };
    if (!grid.title.empty()) out += grid.title + "\n";
    line([&](std::size_t c) { return grid.columns[c]; });
    for (const auto& row : grid.rows)
      line([&](std::size_t c) { return terminal_cell(grid, row[c], c); });
    out += "\n";
  }
  for (const std::string& note : tables.notes) out += note + "\n";
  return out;
}

std::string escaped_pipes(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
    text.insert(at, "\\");
  }
  return text;
}

/// The best in bold, so without a star.
std::string markdown_cell(const GridCell& cell) {
  return cell.mark == kBest ? "**" + escaped_pipes(plain(cell)) + "**"
                            : escaped_pipes(marked(cell));
}

std::string as_markdown(const Tables& tables) {
  std::string out;
  for (const Grid& grid : tables.grids) {
    if (!grid.title.empty()) out += "**" + grid.title + "**\n\n";
    std::string rule = "|";
    out += "|";
    for (std::size_t c = 0; c < grid.columns.size(); ++c) {
      out += " " + escaped_pipes(grid.columns[c]) + " |";
      rule += holds_numbers(grid, c) ? "---:|" : "---|";
    }
    out += "\n" + rule + "\n";
    for (const auto& row : grid.rows) {
      out += "|";
      for (const GridCell& cell : row) out += " " + markdown_cell(cell) + " |";
      out += "\n";
    }
    out += "\n";
  }
  for (const std::string& note : tables.notes) out += "- " + note + "\n";
  return out;
}

std::string escaped_tex(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\textbackslash{}";
        break;
      case '~':
        out += "\\textasciitilde{}";
        break;
      case '^':
        out += "\\textasciicircum{}";
        break;
      case '&':
      case '%':
      case '$':
      case '#':
      case '_':
      case '{':
      case '}':
        out += '\\';
        out += c;
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string tex_cell(const GridCell& cell) {
  std::string text = escaped_tex(cell.text);
  if (!cell.deviation.empty()) text += " $\\pm$ " + escaped_tex(cell.deviation);
  if (!cell.remark.empty()) text += " (" + escaped_tex(cell.remark) + ")";
  if (cell.mark == kBest) return "\\textbf{" + text + "}";
  if (cell.mark == kTied) return text + " $\\approx$";
  return text;
}

std::string as_tex(const Tables& tables) {
  std::string out;
  for (const Grid& grid : tables.grids) {
    std::string layout;
    std::string head;
    for (std::size_t c = 0; c < grid.columns.size(); ++c) {
      layout += holds_numbers(grid, c) ? 'r' : 'l';
      head += (c == 0 ? "" : " & ") + escaped_tex(grid.columns[c]);
    }
    out += "\\begin{table}\n\\centering\n";
    if (!grid.title.empty()) out += "\\caption{" + escaped_tex(grid.title) + "}\n";
    out += "\\begin{tabular}{" + layout + "}\n\\toprule\n" + head + " \\\\\n\\midrule\n";
    for (const auto& row : grid.rows) {
      for (std::size_t c = 0; c < row.size(); ++c) out += (c == 0 ? "" : " & ") + tex_cell(row[c]);
      out += " \\\\\n";
    }
    out += "\\bottomrule\n\\end{tabular}\n\\end{table}\n\n";
  }
  for (const std::string& note : tables.notes) {
    out += "\\noindent{\\footnotesize " + escaped_tex(note) + "}\\par\n";
  }
  return out;
}

/// Splits what people read in one cell into columns that programs read.
struct FlatColumn {
  std::string name;
  std::size_t source;
  std::string GridCell::*part;
};

std::vector<FlatColumn> flat_columns(const Grid& grid) {
  std::vector<FlatColumn> columns;
  const auto any = [&](std::size_t c, std::string GridCell::*part) {
    return std::ranges::any_of(grid.rows, [&](const auto& row) { return !(row[c].*part).empty(); });
  };
  for (std::size_t c = 0; c < grid.columns.size(); ++c) {
    columns.push_back({grid.columns[c], c, &GridCell::text});
    if (any(c, &GridCell::deviation)) {
      columns.push_back({grid.columns[c] + " deviation", c, &GridCell::deviation});
    }
    if (any(c, &GridCell::remark)) {
      columns.push_back({grid.columns[c] + " remark", c, &GridCell::remark});
    }
    if (any(c, &GridCell::mark)) {
      columns.push_back({grid.columns[c] + " mark", c, &GridCell::mark});
    }
  }
  return columns;
}

std::string quoted_csv(const std::string& text) {
  if (text.find_first_of(",\"\n#") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string as_csv(const Tables& tables) {
  std::string out;
  for (const Grid& grid : tables.grids) {
    if (!out.empty()) out += "\n";
    if (!grid.title.empty()) out += "# " + grid.title + "\n";
    const std::vector<FlatColumn> columns = flat_columns(grid);
    const auto line = [&](auto&& text_of) {
      for (std::size_t c = 0; c < columns.size(); ++c) {
        out += (c == 0 ? "" : ",") + quoted_csv(text_of(columns[c]));
      }
      out += "\n";
    };
    line([](const FlatColumn& column) { return column.name; });
    for (const auto& row : grid.rows) {
      line([&](const FlatColumn& column) { return row[column.source].*column.part; });
    }
  }
  for (const std::string& note : tables.notes) out += "# " + note + "\n";
  return out;
}

Json row_object(const std::vector<FlatColumn>& columns, const std::vector<GridCell>& row) {
  Json object = Json::object();
  for (const FlatColumn& column : columns) {
    const GridCell& cell = row[column.source];
    const std::string& text = cell.*column.part;
    const bool digits = column.part == &GridCell::text || column.part == &GridCell::deviation;
    if (cell.number && digits && !text.empty()) {
      object[column.name] = Json::parse(text);
    } else {
      object[column.name] = text.empty() || text == "-" ? Json() : Json(text);
    }
  }
  return object;
}

std::string as_json(const Tables& tables) {
  Json out{{"tables", Json::array()}, {"notes", tables.notes}};
  for (const Grid& grid : tables.grids) {
    const std::vector<FlatColumn> columns = flat_columns(grid);
    Json rows = Json::array();
    for (const auto& row : grid.rows) rows.push_back(row_object(columns, row));
    out["tables"].push_back({{"title", grid.title}, {"rows", std::move(rows)}});
  }
  return out.dump(2) + "\n";
}

std::string as_json_lines(const Tables& tables) {
  std::string out;
  for (const Grid& grid : tables.grids) {
    const std::vector<FlatColumn> columns = flat_columns(grid);
    for (const auto& row : grid.rows) out += row_object(columns, row).dump() + "\n";
  }
  return out;
}

struct NamedFormat {
  std::string name;
  std::string (*print)(const Tables&);
};

const std::vector<NamedFormat>& formats() {
  static const std::vector<NamedFormat> all{{"text", as_text}, {"md", as_markdown},
                                            {"tex", as_tex},   {"csv", as_csv},
                                            {"json", as_json}, {"jsonl", as_json_lines}};
  return all;
}

}  // namespace

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const NamedFormat& format : formats()) names.push_back(format.name);
  return names;
}

std::string format_tables(const Tables& tables, const std::string& format) {
  const auto found = std::ranges::find(formats(), format, &NamedFormat::name);
  if (found == formats().end()) throw Error(unknown_name("format", format, format_names()));
  return found->print(tables);
}

}  // namespace arena
