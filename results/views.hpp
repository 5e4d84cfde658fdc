#pragma once
// From records to grids. Summaries and long forms share these groups.

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "results/grid.hpp"
#include "results/labels.hpp"
#include "results/record.hpp"

namespace arena {

/// Of records of one cell (timings: on one machine) the newest.
std::vector<Record> newest_of_each(std::span<const Record> records);

/// Records with what is needed to print them.
struct RecordSet {
  std::vector<Record> records;
  Labels labels;
  std::function<bool(const Record&)> stale;

  bool is_stale(const Record& record) const { return stale && stale(record); }
};

/// All seeds of one variant with one setting on one task.
struct SeedGroup {
  std::string variant, task;
  std::vector<const Record*> records;

  /// Values of the records that have one.
  std::vector<double> values(const std::function<std::optional<double>(const Record&)>& of) const;
};
/// In the order of rows; the tasks of one variant follow each other.
std::vector<SeedGroup> seed_groups(const RecordSet& set);

/// Names of rows and columns of a table of trainings, each once: Long Range Arena's tasks in its
/// order, then the others by name.
std::vector<std::string> trained_variants(const std::vector<SeedGroup>& groups);
std::vector<std::string> tasks_of(const std::vector<SeedGroup>& groups);
/// Null where there is none.
const SeedGroup* group_of(const std::vector<SeedGroup>& groups, const std::string& variant,
                          const std::string& task);

/// Accuracy in percent, mean and deviation over seeds, with a remark when some seeds are not OK; a
/// status word when none has a value.
GridCell accuracy_cell(const SeedGroup& group, std::optional<double> Record::*member);
/// Mean over seeds; a status word when none has a value.
GridCell mean_cell(const SeedGroup& group, std::optional<double> Record::*member, double per_unit);

/// Timings of one shape at one length, in the order of rows.
struct TimeGroup {
  std::string shape;
  Index length = 0;
  std::vector<const Record*> records;

  /// That variant in plain float, measured in one group with `record`; null where none was.
  const Record* baseline_of(const Record& record, const std::string& name) const;
  /// Median time of `baseline` divided by that of `record`; absent unless both were measured in
  /// one group.
  std::optional<double> speed_up(const Record& record, const std::string& baseline) const;
};
std::vector<TimeGroup> time_groups(const RecordSet& set);

/// Groups of one shape, by rising length.
using Shape = std::vector<TimeGroup>;
std::vector<Shape> shapes_of(const RecordSet& set);
/// Row names of a shape, in order, each once.
std::vector<std::string> variants_of(const RecordSet& set, const Shape& shape);
/// The record behind a row name; null where the group has none.
const Record* record_of(const RecordSet& set, const TimeGroup& group, const std::string& variant);

/// The number, or the status word of a record that has none.
GridCell or_status(const Record& record, GridCell cell);

/// One row per variant and one per baseline, one column per task.
Grid accuracy_grid(const std::vector<SeedGroup>& groups);
/// The same with the best of each task marked, and averages over Long Range Arena's tasks.
Tables accuracy_view(const RecordSet& set);
/// One row per variant and task, with all that was measured.
Tables trainings_view(const RecordSet& set);
/// One row per variant, one column per length, and what the lengths together say.
Tables speed_view(const RecordSet& set);
/// One row per variant and length, with all that was measured.
Tables timings_view(const RecordSet& set);
/// What was measured beside the published figures of Long Range Arena's tables 1 and 2.
Tables lra_view(const RecordSet& set);
Tables memory_view(const RecordSet& set);
Tables records_view(const RecordSet& set);
/// Speed, memory and accuracy per variant, for a terminal.
Tables summary_view(const RecordSet& set);

}  // namespace arena
