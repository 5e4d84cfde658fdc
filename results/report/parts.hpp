#pragma once
// The parts of a report's page.

#include <string>
#include <vector>

#include "results/grid.hpp"
#include "results/views.hpp"

namespace arena {

/// What was found, one sentence each, the first as a headline; only what the records show.
std::vector<std::string> findings(const RecordSet& set);
/// What a reader must know before trusting the numbers.
std::vector<std::string> warnings(const RecordSet& set);

/// The exact command that runs this cell again (a timing with all of its group).
std::string command_of(const RecordSet& set, const Record& record);
/// One JSON array for the page's script, each cell with its record and commands; holds no '<'.
std::string cells_data(const RecordSet& set, const std::vector<std::string>& dirs);

/// Tables with buttons that sort; their notes below.
std::string tables_html(const Tables& tables, const std::string& name);
/// What the benchmark does not show, and where it differs from Long Range Arena.
std::string limits_html();

// page.css and page.js, put in at build time.
extern const char* const kPageStyle;
extern const char* const kPageScript;

}  // namespace arena
