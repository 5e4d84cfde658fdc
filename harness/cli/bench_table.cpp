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

/// How many times faster than the first row of that variant, or peer, in the group.
std::string ratio_text(const Record& record, const std::vector<Record>& records,
                       const std::string& name) {
  const auto base = std::ranges::find(records, name, &Record::variant);
  if (base == records.end() || !base->time_ns_median) return "-";
  return fmt::format("{:.2f}x", *base->time_ns_median / *record.time_ns_median);
}

Row timed_row(const std::string& label, const Record& record, const std::vector<Record>& records,
              const std::vector<PeerRow>& peers) {
  const double relative_mad = *record.time_ns_mad / *record.time_ns_median;
  Row row = {label,
             duration_text(*record.time_ns_median),
             fmt::format("{:.1f}%", 100 * relative_mad),
             duration_text(record.time_ns_cold.value_or(0)),
             record.flops_per_s ? fmt::format("{:.1f}", *record.flops_per_s / 1e9) : "-",
             share_text(record.share_of_peak),
             share_text(record.share_of_l1),
             ratio_text(record, records, "dense"),
             ratio_text(record, records, "blocked")};
  for (const PeerRow& peer : peers) row.push_back(ratio_text(record, records, peer.variant()));
  row.push_back(record.max_error ? fmt::format("{:.1e}", *record.max_error) : "-");
  row.push_back(bytes_text(record.workspace_bytes));
  row.push_back(bytes_text(record.rss_peak_bytes));
  row.push_back(record.scope == "step" ? fmt::format("{:.0f}", record.tokens_per_s.value_or(0))
                                       : bytes_text(record.analytic_bytes));
  return row;
}

Row header(const BenchShape& shape, const std::vector<PeerRow>& peers) {
  Row row = {"variant", "median", "+-",       "cold",      "GFLOP/s",
             "of peak", "of L1",  "vs dense", "vs blocked"};
  for (const PeerRow& peer : peers) row.push_back("x " + peer.library + " " + peer.row);
  row.insert(row.end(),
             {"error", "workspace", "resident", shape.scope == "step" ? "tokens/s" : "formula"});
  return row;
}

std::string label_of_row(const BenchGroup& group, std::size_t i) {
  if (i >= group.variants.size()) return group.peers[i - group.variants.size()].label();
  const BenchVariant& chosen = group.variants[i];
  return chosen.name + chosen.options.difference(Registry<Variant>::find(chosen.name).options);
}

/// Peers that were timed: only those have a column.
std::vector<PeerRow> timed_peers(const BenchGroup& group, const std::vector<Record>& records) {
  std::vector<PeerRow> timed;
  for (std::size_t i = group.variants.size(); i < records.size(); ++i) {
    if (records[i].time_ns_median) timed.push_back(group.peers[i - group.variants.size()]);
  }
  return timed;
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
  const std::vector<PeerRow> peers = timed_peers(group, records);
  std::vector<Row> rows = {header(shape, peers)};
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    const std::string label = label_of_row(group, i);
    if (record.time_ns_median) {
      rows.push_back(timed_row(label, record, records, peers));
    } else {
      rows.push_back({label, record.status == "OK"
                                 ? "left out by --benchmark_filter"
                                 : fmt::format("{}: {}", record.status, record.error)});
    }
  }
  return title + '\n' + aligned(rows);
}

}  // namespace arena
