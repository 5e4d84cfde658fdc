#pragma once
// Figures as pictures, drawn by gnuplot.

#include <optional>
#include <string>

#include "results/figure/figure.hpp"

namespace arena {

enum class PictureFormat { kSvg, kPdf };

/// What gnuplot is told. Texts of the figure are quoted so that nothing in them is a command; the
/// words of marks stay out of it: a mark is known to gnuplot by its number among all marks.
std::string gnuplot_script(const Figure& figure, PictureFormat format);

/// What gnuplot writes for a script; absent where it can not be started (it is not installed).
/// Throws Error with its own last words when it refuses the script.
std::optional<std::string> run_gnuplot(const std::string& script);

/// gnuplot's SVG made fit for light and dark pages: what is black takes the color of the text
/// around, every mark has a <title>, ids begin with that of the figure.
std::string themed_svg(const Figure& figure, const std::string& drawn);

/// A themed SVG as a file of its own, which follows the reader's light or dark setting.
std::string standalone_svg(std::string themed);

/// A picture as a file of its own: a standalone SVG, or a PDF on white. Absent where there is no
/// gnuplot.
std::optional<std::string> picture(const Figure& figure, PictureFormat format);

/// A text in XML or HTML: & < > " ' and control characters escaped.
std::string escaped(std::string_view text);

}  // namespace arena
