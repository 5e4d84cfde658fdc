#pragma once
// Result tables, from records alone.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "results/grid.hpp"
#include "results/record.hpp"

namespace arena {

struct TableRequest {
  std::string view = "summary";
  std::string format = "text";
  std::string sort{};    // a column, "-COLUMN" downwards; "" = baselines first, then names
  std::string filter{};  // extended regular expression; "" = all
  std::vector<std::string> columns{};          // empty = all
  std::function<bool(const Record&)> stale{};  // whether a record is of other code than today's
};

/// summary, accuracy, trainings, speed, timings, memory, lra, records.
std::vector<std::string> view_names();

/// The table before it is text, with what must be said under it: machine, stale records, too few
/// seeds, partial data, why records are not OK. Of records with the same id and machine the newest
/// counts. `filter` is searched in "VARIANT[OPTIONS] TASK[OPTIONS] KIND SHAPE STATUS" of each
/// record. Throws Error on an unknown view or column, a bad expression, or when no record is left.
Tables make_tables(std::span<const Record> records, const TableRequest& request);

/// Formats of tables, then those that timings are exported in.
std::vector<std::string> table_formats();

/// The same as text, or an export of the timings; throws Error on an unknown format, too.
std::string table(std::span<const Record> records, const TableRequest& request);

}  // namespace arena
