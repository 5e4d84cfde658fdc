// What gnuplot draws, made to follow the colors of the page around it.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "results/figure/canvas.hpp"
#include "results/figure/drawing.hpp"

namespace arena {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

/// By number, as gnuplot_script() counts marks.
std::vector<std::string> words_of_marks(const Figure& figure) {
  std::vector<std::string> words;
  for (const Series& series : figure.series) {
    for (const Mark& mark : series.marks) words.push_back(mark.words);
  }
  for (const Mark& ring : figure.rings) words.push_back(ring.words);
  return words;
}

/// gnuplot calls a script of its own where a pointer is over a mark; a <title> needs none.
void title_mark(std::string& line, const std::vector<std::string>& words) {
  constexpr std::string_view kCall = "onmousemove=\"gnuplot_svg.showHypertext(evt,'#";
  constexpr std::string_view kEnd = "<title> </title>";
  const std::size_t start = line.find(kCall), end = line.find(kEnd);
  if (start == std::string::npos || end == std::string::npos) return;
  std::size_t number = words.size();
  std::from_chars(line.data() + start + kCall.size(), line.data() + end, number);
  const std::string text = number < words.size() ? escaped(words[number]) : "";
  line.replace(start, end + kEnd.size() - start,
               fmt::format("class=\"mark\"><title>{}</title>", text));
}

void follow_page(std::string& line, const std::string& id) {
  static constexpr std::array<std::array<const char*, 2>, 10> kChanges{
      {{" color=\"black\"", ""},
       {" color=\"white\"", ""},
       {" font-family=\"sans-serif\"", ""},
       {"\"black\"", "\"currentColor\""},
       {"'black'", "'currentColor'"},
       {"\"white\"", "\"none\""},
       {"rgb(  0,   0,   0)", "currentColor"},
       {"rgb(0,0,0)", "currentColor"},
       {" id=\"gnuplot_canvas\"", ""},
       {"\t", ""}}};
  for (const auto& [from, to] : kChanges) replace_all(line, from, to);
  for (const char* shape : {"gpPt", "gpDot"}) {
    replace_all(line, std::string("'#") + shape, fmt::format("'#{}-{}", id, shape));
    replace_all(line, std::string("id='") + shape, fmt::format("id='{}-{}", id, shape));
  }
}

bool is_empty_group(const std::string& line, const std::string& next) {
  return line.starts_with("<g fill=") && line.ends_with('>') && next == "</g>";
}

/// Lines of the drawing itself, from the first group on.
std::vector<std::string> drawing_lines(const std::string& drawn) {
  std::vector<std::string> lines;
  std::istringstream stream(drawn.substr(std::min(drawn.find("<g id="), drawn.size())));
  bool in_filter = false;
  for (std::string line; std::getline(stream, line);) {
    if (line.find("<filter") != std::string::npos) in_filter = true;
    const bool kept = !in_filter && !line.empty() && line != "</svg>";
    if (line.find("</filter>") != std::string::npos) in_filter = false;
    if (!kept) continue;
    if (!lines.empty() && is_empty_group(lines.back(), line)) {
      lines.pop_back();
    } else {
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

}  // namespace

std::string themed_svg(const Figure& figure, const std::string& drawn) {
  const Canvas canvas(figure);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" "
      "viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\" "
      "font-family=\"system-ui, sans-serif\">\n<desc>{}</desc>\n",
      canvas.width, canvas.height, escaped(figure.title), escaped(figure.caption));
  const std::vector<std::string> words = words_of_marks(figure);
  for (std::string& line : drawing_lines(drawn)) {
    const std::size_t title = line.find("<title>" + figure.id + "_plot_");
    if (title != std::string::npos) line.erase(title);
    title_mark(line, words);
    follow_page(line, figure.id);
    svg += line + "\n";
  }
  return svg + "</svg>\n";
}

std::string standalone_svg(std::string themed) {
  constexpr std::string_view kTheme =
      "<style>svg{color:#1f2328}@media (prefers-color-scheme:dark){svg{color:#e6edf3}}</style>\n";
  return themed.insert(themed.find('>') + 1, kTheme);
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        // control characters are no part of XML
        result += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return result;
}

}  // namespace arena
