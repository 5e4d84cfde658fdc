#pragma once
// A figure before it is drawn: what is shown, in the units of its axes. A drawing program gets
// these numbers, never a table's text.

#include <optional>
#include <string>
#include <vector>

#include "results/views.hpp"

namespace arena {

/// A point, with its spread where it has one, and the words that a pointer over it shows.
struct Mark {
  double x = 0, y = 0;
  std::optional<double> low{}, high{};
  double area = 0;  // of a bubble around it, as a share of the largest
  std::string words{};
};

/// How a variant looks in every figure of one report: numbers into the palettes of the drawing.
struct Look {
  std::size_t color = 0, shape = 0, dash = 0;
};

struct Series {
  std::string name{};
  Look look{};
  std::vector<Mark> marks{};
  bool line = true;   // from mark to mark
  bool band = false;  // spread as a band along the line instead of bars
};

/// A grey line from (x, y) to (to_x, to_y) with its name at the end: what a series is held against.
struct Guide {
  std::string name{};
  double x = 0, y = 0, to_x = 0, to_y = 0;
};

struct Tick {
  double at = 0;
  std::string text{};
};

struct Axis {
  std::string label{};
  bool logarithmic = false;
  double low = 0, high = 1;
  std::vector<Tick> ticks{};
};

struct Figure {
  std::string id{};       // of letters, digits and '_': a file name
  std::string title{};    // what is shown
  std::string caption{};  // how to read it
  Axis x{}, y{};
  std::vector<Series> series{};
  std::vector<Guide> guides{};
  std::vector<Mark> rings{};  // circles around what is worth a look: break-even points
  std::vector<Mark> front{};  // a stepped line: what no other mark beats
};

/// Looks by the name of a row, the same in all figures of the set: a color per variant, with other
/// options another shape and dash.
std::map<std::string, Look> looks_of(const RecordSet& set);

/// An axis around the values (at least one, positive where logarithmic), with ticks at round
/// numbers; `margin` is a share of the range, left free at both ends.
Axis axis_around(std::string label, bool logarithmic, const std::vector<double>& values,
                 double margin = 0.06);
/// A logarithmic axis whose ticks are these lengths, as far as there is room for them.
Axis length_axis(const std::vector<Index>& lengths);

/// Time, memory and error over length: three figures per shape.
std::vector<Figure> scaling_figures(const RecordSet& set);
/// Accuracy over steps and over seconds, per task.
std::vector<Figure> learning_figures(const RecordSet& set);
/// Accuracy against training speed, bubbles by memory, per task; and over all tasks.
std::vector<Figure> tradeoff_figures(const RecordSet& set);

/// All of them, in the order of a page. Ids are unique.
std::vector<Figure> figures_of(const RecordSet& set);

}  // namespace arena
