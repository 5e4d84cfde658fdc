#pragma once
// What `report` and the end of `sweep` have in common.

#include <span>
#include <string>
#include <vector>

#include "results/record.hpp"

namespace arena {

/// Writes the page and its figures, and says on stderr where, and whether the figures are missing.
void write_and_name_report(std::span<const Record> records, const std::vector<std::string>& dirs,
                           const std::string& file);

}  // namespace arena
