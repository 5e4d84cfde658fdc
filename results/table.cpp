#include "results/table.hpp"

#include <fmt/ranges.h>
#include <regex.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "harness/core/check.hpp"
#include "results/export.hpp"
#include "results/format.hpp"
#include "results/paired.hpp"
#include "results/views.hpp"

namespace arena {
namespace {

struct NamedView {
  std::string name;
  Tables (*make)(const RecordSet&);
};

const std::vector<NamedView>& views() {
  static const std::vector<NamedView> all{
      {"summary", summary_view}, {"accuracy", accuracy_view}, {"trainings", trainings_view},
      {"speed", speed_view},     {"timings", timings_view},   {"memory", memory_view},
      {"lra", lra_view},         {"records", records_view}};
  return all;
}

/// A compiled POSIX expression: reports a bad one by a message, not by an exception of its own.
class Pattern {
 public:
  explicit Pattern(const std::string& text) {
    if (const int code = regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB); code != 0) {
      std::array<char, 200> reason{};
      regerror(code, &compiled_, reason.data(), reason.size());
      fail("bad --filter '{}': {}", text, reason.data());
    }
  }
  ~Pattern() { regfree(&compiled_); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  bool found_in(const std::string& text) const {
    return regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t compiled_{};
};

std::string searched_text(const Labels& labels, const Record& record) {
  return fmt::format("{} {} {} {} {}", labels.variant(record), labels.task(record), record.kind,
                     record.kind == "bench" ? labels.shape(record) : "", record.status);
}

/// The chosen records, in an order that does not depend on how they came.
std::vector<Record> chosen(std::span<const Record> records, const std::string& filter) {
  std::vector<Record> result = newest_of_each(records);
  if (!filter.empty()) {
    const Labels labels(result);
    const Pattern pattern(filter);
    std::erase_if(result, [&](const Record& record) {
      return !pattern.found_in(searched_text(labels, record));
    });
    check(!result.empty(), "--filter '{}' leaves none of {} records", filter, records.size());
  }
  const auto key = [](const Record& r) {
    return std::tie(r.kind, r.task, r.scope, r.pass, r.length, r.variant, r.seed, r.id);
  };
  std::ranges::sort(result, [&](const Record& a, const Record& b) { return key(a) < key(b); });
  return result;
}

std::string machine_note(const std::vector<Record>& records) {
  std::set<std::string> machines;
  for (const Record& record : records) {
    const MachineInfo& m = record.machine;
    if (m.cpu.empty()) continue;
    machines.insert(fmt::format("{}, {} cores, {}", m.cpu, m.cores, m.isa));
  }
  if (machines.empty()) return "Machine: not recorded.";
  if (machines.size() == 1) return fmt::format("Machine: {}.", *machines.begin());
  return fmt::format("{} machines, whose times do not compare: {}.", machines.size(),
                     fmt::join(machines, "; "));
}

std::string seeds_note(const RecordSet& set) {
  std::set<std::size_t> counts;
  for (const SeedGroup& group : seed_groups(set)) counts.insert(group.records.size());
  if (counts.empty() || static_cast<Index>(*counts.begin()) >= kSeedsForClaims) return "";
  const std::size_t fewest = *counts.begin();
  return fmt::format("{} seed{}: with fewer than {}, nothing is claimed about seeds.", fewest,
                     fewest == 1 ? "" : "s", kSeedsForClaims);
}

/// What a task counted as left out of a split ("test_file rows longer than max_len, left out").
std::set<std::string> left_out_notes(const RecordSet& set) {
  std::set<std::string> notes;
  for (const Record& record : set.records) {
    for (const auto& [name, count] : record.metrics) {
      if (!name.ends_with("left out") || count == 0) continue;
      notes.insert(fmt::format("{}: {}: {:.0f}.", record.task, name, count));
    }
  }
  return notes;
}

/// Which variants had their cross attention done by another one.
std::set<std::string> cross_attention_notes(const RecordSet& set) {
  constexpr std::string_view kMetric = "cross_attention_by_";
  std::set<std::string> notes;
  for (const Record& record : set.records) {
    for (const auto& [name, value] : record.metrics) {
      if (!name.starts_with(kMetric)) continue;
      notes.insert(fmt::format("{} on {}: cross attention by {}.", record.variant,
                               set.labels.task(record), name.substr(kMetric.size())));
    }
  }
  return notes;
}

/// Why records have no result, or none that counts. Seeds of one training that differ in figures
/// only share a line, with the reason of the first.
std::set<std::string> reasons_of(const RecordSet& set) {
  std::set<std::string> lines;
  for (const Record& record : set.records) {
    if (record.kind == "train" || record.error.empty()) continue;
    lines.insert(
        fmt::format("{}: {}: {}", record.status, set.labels.variant(record), record.error));
  }
  for (const SeedGroup& group : seed_groups(set)) {
    std::map<std::string, std::vector<std::string>> errors;  // by status
    for (const Record* record : group.records) {
      if (!record->error.empty()) errors[record->status].push_back(record->error);
    }
    for (const auto& [status, reasons] : errors) {
      const bool differ = std::ranges::count(reasons, reasons.front()) < std::ssize(reasons);
      lines.insert(fmt::format("{}: {} on {}{}: {}", status, group.variant, group.task,
                               differ ? fmt::format(", the first of {} seeds", reasons.size()) : "",
                               reasons.front()));
    }
  }
  return lines;
}

void add_notes(const RecordSet& set, Tables& tables) {
  std::vector<std::string>& notes = tables.notes;
  notes.push_back(machine_note(set.records));
  if (const std::string note = seeds_note(set); !note.empty()) notes.push_back(note);
  const auto count = [&](auto&& wanted) { return std::ranges::count_if(set.records, wanted); };
  if (const auto stale = count([&](const Record& r) { return set.is_stale(r); }); stale > 0) {
    notes.push_back(fmt::format("{} of {} records are stale: made by other code than today's.",
                                stale, set.records.size()));
  }
  if (const auto partial = count([](const Record& r) { return r.partial; }); partial > 0) {
    notes.push_back(fmt::format("PARTIAL: {} records use a subset of their data set.", partial));
  }
  for (const std::string& note : left_out_notes(set)) notes.push_back(note);
  for (const std::string& note : cross_attention_notes(set)) notes.push_back(note);
  const std::vector<std::string> options = set.labels.options_in_full();
  if (!options.empty()) notes.push_back(fmt::format("Options: {}.", fmt::join(options, "; ")));
  const std::set<std::string> reasons = reasons_of(set);
  notes.insert(notes.end(), reasons.begin(), reasons.end());
}

}  // namespace

std::vector<std::string> view_names() {
  std::vector<std::string> names;
  for (const NamedView& view : views()) names.push_back(view.name);
  return names;
}

Tables make_tables(std::span<const Record> records, const TableRequest& request) {
  const auto view = std::ranges::find(views(), request.view, &NamedView::name);
  if (view == views().end()) throw Error(unknown_name("view", request.view, view_names()));
  check(!records.empty(), "no records to make a table of");
  std::vector<Record> kept = chosen(records, request.filter);
  const RecordSet set{.records = kept, .labels = Labels(kept), .stale = request.stale};
  Tables tables = view->make(set);
  if (!request.sort.empty()) sort_rows(tables, request.sort);
  if (!request.columns.empty()) select_columns(tables, request.columns);
  add_notes(set, tables);
  return tables;
}

std::vector<std::string> table_formats() {
  std::vector<std::string> names = format_names();
  for (std::string& name : export_names()) names.push_back(std::move(name));
  return names;
}

std::string table(std::span<const Record> records, const TableRequest& request) {
  if (std::ranges::count(table_formats(), request.format) == 0) {
    throw Error(unknown_name("format", request.format, table_formats()));
  }
  const std::vector<std::string> exports = export_names();
  if (std::ranges::count(exports, request.format) > 0) {
    check(request.view == TableRequest().view && request.sort.empty() && request.columns.empty(),
          "--format {} holds all timings: it takes --filter, but no --view, --sort or --columns",
          request.format);
    return export_timings(chosen(records, request.filter), request.format);
  }
  return format_tables(make_tables(records, request), request.format);
}

}  // namespace arena
