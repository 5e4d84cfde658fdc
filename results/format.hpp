#pragma once
// Tables as text, in each output format. Every format shows the same digits.

#include <string>
#include <vector>

#include "results/grid.hpp"

namespace arena {

/// Names that format_tables() knows: text, md, tex, csv, json, jsonl.
std::vector<std::string> format_names();

/// Throws Error naming the nearest format. text: aligned for a terminal. md: pipes. tex: booktabs.
/// csv: comma separated, deviations and remarks in columns of their own, notes as '#' lines at the
/// end. json: {"tables": [{"title", "rows": [{COLUMN: VALUE}]}], "notes": []}. jsonl: one row a
/// line.
std::string format_tables(const Tables& tables, const std::string& format);

}  // namespace arena
