#include "harness/cli/bench_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace arena {
namespace {

using Row = std::vector<std::string>;

std::string duration_text(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6) return fmt::format("{:.2f} us", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.2f} ms", ns / 1e6);
  return fmt::format("{:.3f} s", ns / 1e9);
}

std::string bytes_text(const std::optional<double>& bytes) {
  if (!bytes) return "-";
  if (*bytes < 1024) return fmt::format("{:.0f} B", *bytes);
  if (*bytes < 1048576) return fmt::format("{:.1f} KiB", *bytes / 1024);
  return fmt::format("{:.1f} MiB", *bytes / 1048576);
}

std::string share_text(const std::optional<double>& share) {
  return share ? fmt::format("{:.0f}%", 100 * *share) : "-";
}

/// How many times faster than the variant of that name, its first row in the group.
std::string ratio_text(const Record& record, const std::vector<Record>& records,
                       const std::string& name) {
  const auto base = std::ranges::find(records, name, &Record::variant);
  if (base == records.end() || !base->time_ns_median) return "-";
  return fmt::format("{:.2f}x", *base->time_ns_median / *record.time_ns_median);
}

Row timed_row(const std::string& label, const Record& record, const std::vector<Record>& records) {
  const double relative_mad = *record.time_ns_mad / *record.time_ns_median;
  return {label,
          duration_text(*record.time_ns_median),
          fmt::format("{:.1f}%", 100 * relative_mad),
          duration_text(record.time_ns_cold.value_or(0)),
          record.flops_per_s ? fmt::format("{:.1f}", *record.flops_per_s / 1e9) : "-",
          share_text(record.share_of_peak),
          share_text(record.share_of_l1),
          ratio_text(record, records, "dense"),
          ratio_text(record, records, "blocked"),
          record.max_error ? fmt::format("{:.1e}", *record.max_error) : "-",
          bytes_text(record.workspace_bytes),
          bytes_text(record.rss_peak_bytes),
          record.scope == "step" ? fmt::format("{:.0f}", record.tokens_per_s.value_or(0))
                                 : bytes_text(record.analytic_bytes)};
}

/// Columns padded to their widest cell, the first to the left, the others to the right; a row with
/// two cells is a label and a remark.
std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row.size() == widths.size() || i == 0) widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    text += fmt::format("  {:<{}}", row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i) {
      text +=
          row.size() == widths.size() ? fmt::format("  {:>{}}", row[i], widths[i]) : "  " + row[i];
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::string bench_table(const BenchGroup& group, const std::vector<Record>& records) {
  const BenchShape& shape = group.shape;
  std::string title = fmt::format(
      "{} {}, {}length {}, {} heads of {}", shape.scope, pass_name(shape.pass),
      shape.task.empty() ? "" : shape.task + ", up to ", shape.length, shape.heads, shape.head_dim);
  if (shape.batch > 1) title += fmt::format(", batch {}", shape.batch);
  if (shape.causal) title += ", causal";
  title += fmt::format(", {} thread{}", shape.threads, shape.threads == 1 ? "" : "s");
  std::vector<Row> rows = {{"variant", "median", "+-", "cold", "GFLOP/s", "of peak", "of L1",
                            "vs dense", "vs blocked", "error", "workspace", "resident",
                            shape.scope == "step" ? "tokens/s" : "formula"}};
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    const Variant& variant = Registry<Variant>::find(record.variant);
    const std::string label = variant.name + group.variants[i].options.difference(variant.options);
    if (record.time_ns_median) {
      rows.push_back(timed_row(label, record, records));
    } else {
      rows.push_back({label, record.status == "OK"
                                 ? "left out by --benchmark_filter"
                                 : fmt::format("{}: {}", record.status, record.error)});
    }
  }
  return title + '\n' + aligned(rows);
}

}  // namespace arena
