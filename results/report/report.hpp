#pragma once
// A report: one page that holds everything and asks the network for nothing.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "results/figure/figure.hpp"
#include "results/record.hpp"

namespace arena {

struct ReportRequest {
  std::vector<std::string> dirs{};             // where the records are, as they were named
  std::function<bool(const Record&)> stale{};  // whether a record is of other code than today's
};

/// A figure with its SVG, fit to stand in a page.
struct Drawn {
  Figure figure{};
  std::string svg{};
};

/// The page. All text from records is escaped. Throws Error when there are no records.
std::string report_page(std::span<const Record> records, const ReportRequest& request,
                        const std::vector<Drawn>& figures);

/// Writes the page to `file`, which ends in .html, and beside it a folder of its name with each
/// figure as SVG and PDF. Gives false where there is no gnuplot: the page is whole but for its
/// figures, and says so. Throws Error naming what can not be written.
bool write_report(std::span<const Record> records, const ReportRequest& request,
                  const std::string& file);

}  // namespace arena
