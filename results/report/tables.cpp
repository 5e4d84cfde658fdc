// Grids as HTML tables.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "results/figure/drawing.hpp"
#include "results/report/parts.hpp"

namespace arena {
namespace {

constexpr std::size_t kWide = 40;  // letters from which on a cell's words may wrap

/// How a status is shown; "" for words that are none.
std::string status_class(const std::string& text) {
  static constexpr std::array<const char*, 6> kBad{"OOM",       "TIMEOUT",  "CRASHED",
                                                   "INCORRECT", "DIVERGED", "ERROR"};
  if (text == "OK") return "word good";
  const bool bad = std::ranges::any_of(
      kBad, [&](const char* word) { return text.find(word) != std::string::npos; });
  return bad ? "word bad" : "word";
}

std::string content_of(const GridCell& cell) {
  std::string text = escaped(cell.text);
  if (cell.mark == kBest) text = fmt::format("<strong>{}</strong>", text);
  if (cell.mark == kTied) text = fmt::format("<span class=\"tied\">{}</span>", text);
  if (!cell.deviation.empty()) text += fmt::format(" <small>± {}</small>", escaped(cell.deviation));
  if (!cell.remark.empty()) {
    text += fmt::format(" <span class=\"{}\">{}</span>", status_class(cell.remark),
                        escaped(cell.remark));
  }
  return text;
}

std::string cell_html(const GridCell& cell, const std::string& column, bool first) {
  if (column == "id") {
    return fmt::format(
        "<th scope=\"row\"><button type=\"button\" class=\"cell\" data-key=\"{0}\" "
        "aria-haspopup=\"dialog\" aria-label=\"Open cell {0}\">{1}</button></th>",
        escaped(cell.text), escaped(cell.text.substr(0, 8)));
  }
  if (first) return fmt::format("<th scope=\"row\">{}</th>", content_of(cell));
  if (cell.number) {
    return fmt::format("<td class=\"n\" data-v=\"{}\">{}</td>", escaped(cell.text),
                       content_of(cell));
  }
  if (column == "status") {
    return fmt::format("<td><span class=\"{}\">{}</span></td>", status_class(cell.text),
                       escaped(cell.text));
  }
  if (cell.text.size() > kWide) return fmt::format("<td class=\"wide\">{}</td>", content_of(cell));
  return fmt::format("<td>{}</td>", content_of(cell));
}

bool is_numeric(const Grid& grid, std::size_t column) {
  return std::ranges::any_of(grid.rows, [&](const auto& row) { return row[column].number; });
}

std::string grid_html(const Grid& grid, const std::string& label) {
  std::string html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n<thead><tr>",
      escaped(label));
  for (std::size_t i = 0; i < grid.columns.size(); ++i) {
    html += fmt::format(
        "<th scope=\"col\" aria-sort=\"none\"><button type=\"button\"{}>{}</button></th>",
        is_numeric(grid, i) ? " class=\"n\"" : "", escaped(grid.columns[i]));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : grid.rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      html += cell_html(row[i], grid.columns[i], i == 0);
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table></div>\n";
}

}  // namespace

std::string tables_html(const Tables& tables, const std::string& name) {
  std::string html;
  for (const Grid& grid : tables.grids) {
    if (grid.rows.empty()) continue;
    if (!grid.title.empty()) html += fmt::format("<h3>{}</h3>\n", escaped(grid.title));
    html += grid_html(grid, grid.title.empty() ? name : grid.title);
  }
  if (html.empty() || tables.notes.empty()) return html;
  html += "<ul class=\"notes\">\n";
  for (const std::string& note : tables.notes) {
    html += fmt::format("<li>{}</li>\n", escaped(note));
  }
  return html + "</ul>\n";
}

}  // namespace arena
