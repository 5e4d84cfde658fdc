// A figure as commands for gnuplot.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "results/figure/canvas.hpp"
#include "results/figure/drawing.hpp"

namespace arena {
namespace {

using Out = std::back_insert_iterator<std::string>;

// Okabe and Ito's colors, told apart with every kind of color blindness; black follows the text of
// the page, and yellow is left out: it can not be seen on white.
constexpr std::array<unsigned, 7> kColors{0x000000, 0x0072B2, 0xD55E00, 0x009E73,
                                          0xCC79A7, 0xE69F00, 0x56B4E9};
constexpr std::array<int, 13> kShapes{7, 5, 9, 13, 11, 15, 6, 4, 8, 12, 10, 1, 2};
constexpr std::array<const char*, 4> kDashes{"1", "'-'", "'.'", "'_.'"};
constexpr unsigned kGrey = 0x808080;
constexpr double kPointRadius = 5.625;  // pixels of gnuplot's point of size 1 in a font of 15
constexpr double kInches = 6;           // width of a PDF

/// A text between quotes inside of which gnuplot sees no command, escape or variable.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') result += '\'';
    result += static_cast<unsigned char>(c) < 0x20 || c == '`' ? ' ' : c;
  }
  return result + "'";
}

std::string color_of(unsigned rgb, unsigned transparency = 0) {
  return fmt::format("rgb '#{:02X}{:06X}'", transparency, rgb);
}
std::string color_of(const Look& look, unsigned transparency = 0) {
  return color_of(kColors[look.color % kColors.size()], transparency);
}
std::string line_of(const Look& look) {
  const std::size_t round = look.color / kColors.size();  // colors come again with another dash
  return fmt::format("lc {} lw 2 dt {}", color_of(look),
                     kDashes[(look.dash + round) % kDashes.size()]);
}
std::string point_of(const Look& look) {
  return fmt::format("pt {} ps 0.8 lc {}", kShapes[look.shape % kShapes.size()], color_of(look));
}

void write_terminal(Out out, const Figure& figure, const Canvas& canvas, PictureFormat format) {
  if (format == PictureFormat::kSvg) {
    fmt::format_to(out,
                   "set terminal svg size {:.0f},{:.0f} dynamic noenhanced rounded "
                   "font 'sans-serif,15' name '{}'\n",
                   canvas.width, canvas.height, figure.id);
  } else {
    fmt::format_to(out,
                   "set terminal pdfcairo size {:.3f}in,{:.3f}in noenhanced rounded "
                   "font 'sans-serif,11'\n",
                   kInches, kInches * canvas.height / canvas.width);
  }
}

void write_axis(Out out, char name, const Axis& axis) {
  if (axis.logarithmic) fmt::format_to(out, "set logscale {}\n", name);
  fmt::format_to(out, "set {}range [{:.9g}:{:.9g}] noextend\n", name, axis.low, axis.high);
  fmt::format_to(out, "set {}label {} offset {}\n", name, quoted(axis.label),
                 name == 'x' ? "0,0.5" : "0.5,0");
  std::vector<std::string> ticks;
  for (const Tick& tick : axis.ticks) {
    ticks.push_back(fmt::format("{} {:.9g}", quoted(tick.text), tick.at));
  }
  fmt::format_to(out, "set {}tics nomirror out scale 0.6 ({})\n", name, fmt::join(ticks, ", "));
}

void write_frame(Out out, const Figure& figure, const Canvas& canvas) {
  const auto x = [&](double pixels) { return pixels / canvas.width; };
  const auto y = [&](double pixels) { return 1 - pixels / canvas.height; };
  fmt::format_to(out, "set encoding utf8\nset border 3 lw 1 lc {}\n", color_of(kGrey));
  fmt::format_to(out, "set tics textcolor rgb '#000000'\nset grid back lw 1 lc {} dt 1\n",
                 color_of(kGrey, 0xB0));
  fmt::format_to(out, "set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\n",
                 x(canvas.left), x(canvas.right));
  fmt::format_to(out, "set tmargin at screen {:.5f}\nset bmargin at screen {:.5f}\n", y(canvas.top),
                 y(canvas.bottom));
  fmt::format_to(out, "unset key\n");
  write_axis(out, 'x', figure.x);
  write_axis(out, 'y', figure.y);
}

void write_guides(Out out, const Figure& figure) {
  for (const Guide& guide : figure.guides) {
    fmt::format_to(
        out, "set arrow from {:.9g},{:.9g} to {:.9g},{:.9g} nohead back lw 1.5 dt '-' lc {}\n",
        guide.x, guide.y, guide.to_x, guide.to_y, color_of(kGrey));
    fmt::format_to(out, "set label {} at {:.9g},{:.9g} {} textcolor {}\n", quoted(guide.name),
                   guide.to_x, guide.to_y,
                   guide.y == guide.to_y ? "right offset -0.4,0.7" : "left offset 0.9,0",
                   color_of(kGrey));
  }
}

void write_names(Out out, const Figure& figure, const Canvas& canvas) {
  const std::vector<NamePlace> places = place_names(figure, canvas);
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!places[i].shown) continue;
    fmt::format_to(out, "set label {} at screen {:.5f},{:.5f} {} front\n",
                   quoted(figure.series[i].name), places[i].x / canvas.width,
                   1 - places[i].y / canvas.height, places[i].to_the_left ? "right" : "left");
  }
}

/// Below the plot: a line, its mark and its name for each series.
void write_key(Out out, const Figure& figure, const Canvas& canvas) {
  for (std::size_t i = 0; i < figure.series.size(); ++i) {
    const Series& series = figure.series[i];
    const double y = 1 - canvas.key_y(i) / canvas.height;
    const auto x = [&](double right) { return (canvas.key_x(i) + right) / canvas.width; };
    if (series.line) {
      fmt::format_to(out, "set arrow from screen {:.5f},{:.5f} to screen {:.5f},{:.5f} nohead {}\n",
                     x(0), y, x(Canvas::kKeySample), y, line_of(series.look));
    }
    fmt::format_to(out, "set label '' at screen {:.5f},{:.5f} point {}\n",
                   x(Canvas::kKeySample / 2), y, point_of(series.look));
    fmt::format_to(out, "set label {} at screen {:.5f},{:.5f} left\n", quoted(series.name),
                   x(Canvas::kKeySample + 8), y);
  }
}

/// Columns: x, y, low, high, size of the bubble, number of the mark.
void write_marks(Out out, const std::string& name, const std::vector<Mark>& marks, int& number) {
  fmt::format_to(out, "${} << EOD\n", name);
  for (const Mark& mark : marks) {
    fmt::format_to(out, "{:.9g} {:.9g} {:.9g} {:.9g} {:.4f} #{}\n", mark.x, mark.y,
                   mark.low.value_or(mark.y), mark.high.value_or(mark.y),
                   bubble_radius(mark) / kPointRadius, number++);
  }
  fmt::format_to(out, "EOD\n");
}

bool has_spread(const Series& series) {
  return std::ranges::any_of(series.marks, [](const Mark& m) { return m.low != m.high; });
}

/// From the back to the front: bands and bubbles, then lines, then marks.
std::vector<std::string> plots_of(const Figure& figure) {
  std::vector<std::string> back, middle, front;
  for (std::size_t i = 0; i < figure.series.size(); ++i) {
    const Series& series = figure.series[i];
    const std::string data = fmt::format("$s{} using ", i);
    if (series.marks.front().area > 0) {
      back.push_back(fmt::format("{}1:2:5 with points pt 7 ps variable lc {}", data,
                                 color_of(series.look, 0xB8)));
    }
    if (has_spread(series)) {
      back.push_back(series.band ? fmt::format("{}1:3:4 with filledcurves fs noborder lc {}", data,
                                               color_of(series.look, 0xD8))
                                 : fmt::format("{}1:3:(0):($4-$3) with vectors nohead lw 1.5 lc {}",
                                               data, color_of(series.look)));
    }
    if (series.line) {
      middle.push_back(fmt::format("{}1:2 with lines {}", data, line_of(series.look)));
    }
    front.push_back(
        fmt::format("{}1:2:6 with labels hypertext point {}", data, point_of(series.look)));
  }
  std::vector<std::string> plots = std::move(back);
  plots.insert(plots.end(), middle.begin(), middle.end());
  plots.insert(plots.end(), front.begin(), front.end());
  return plots;
}

/// The front from the left edge to the bottom.
std::vector<Mark> whole_front(const Figure& figure) {
  std::vector<Mark> marks = figure.front;
  marks.insert(marks.begin(), {.x = figure.x.low, .y = marks.front().y});
  marks.push_back({.x = marks.back().x, .y = figure.y.low});
  return marks;
}

}  // namespace

std::string gnuplot_script(const Figure& figure, PictureFormat format) {
  std::string script;
  const Out out = std::back_inserter(script);
  const Canvas canvas(figure);
  write_terminal(out, figure, canvas, format);
  write_frame(out, figure, canvas);
  write_guides(out, figure);
  write_key(out, figure, canvas);
  int number = 0;
  for (std::size_t i = 0; i < figure.series.size(); ++i) {
    write_marks(out, fmt::format("s{}", i), figure.series[i].marks, number);
  }
  std::vector<std::string> plots = plots_of(figure);
  if (!figure.front.empty()) {
    write_names(out, figure, canvas);
    int unused = 0;
    write_marks(out, "front", whole_front(figure), unused);
    plots.insert(plots.begin(),
                 fmt::format("$front using 1:2 with fsteps lw 1.5 lc {}", color_of(kGrey)));
  }
  if (!figure.rings.empty()) {
    write_marks(out, "rings", figure.rings, number);
    plots.emplace_back(
        "$rings using 1:2:6 with labels hypertext point pt 6 ps 1.9 lw 2 lc rgb '#000000'");
  }
  fmt::format_to(out, "plot {}\n", fmt::join(plots, ", \\\n     "));
  return script;
}

}  // namespace arena
