// The page of a report, put together.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "harness/core/check.hpp"
#include "results/figure/drawing.hpp"
#include "results/report/parts.hpp"
#include "results/report/report.hpp"
#include "results/table.hpp"

namespace arena {
namespace {

struct Section {
  const char* id;
  const char* title;
  std::string html;
};

/// Distinct texts, joined; "not recorded" where there is none.
template <class Of>
std::string distinct(const RecordSet& set, const Of& of) {
  std::set<std::string> all;
  for (const Record& record : set.records) {
    if (const std::string text = of(record); !text.empty()) all.insert(text);
  }
  return all.empty() ? "not recorded" : fmt::format("{}", fmt::join(all, "; "));
}

std::string what_was_run(const RecordSet& set) {
  std::set<std::string> variants, tasks;
  std::set<Index> lengths;
  for (const Record& record : set.records) {
    variants.insert(record.variant);
    if (record.kind == "train") tasks.insert(set.labels.task(record));
    if (record.kind == "bench" && record.length > 0) lengths.insert(record.length);
  }
  std::string text = fmt::format("{} variant{}", variants.size(), variants.size() == 1 ? "" : "s");
  if (!tasks.empty()) text += fmt::format(", trained on {}", fmt::join(tasks, ", "));
  if (lengths.size() == 1) text += fmt::format(", timed at length {}", *lengths.begin());
  if (lengths.size() > 1) {
    text += fmt::format(", timed at lengths {} to {}", *lengths.begin(), *lengths.rbegin());
  }
  return text;
}

std::string statuses(const RecordSet& set) {
  std::map<std::string, int> counts;
  for (const Record& record : set.records) ++counts[record.status];
  std::vector<std::string> parts;
  for (const auto& [status, count] : counts) parts.push_back(fmt::format("{} {}", count, status));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string facts_html(const RecordSet& set) {
  const auto day = [](const Record& r) { return r.date.substr(0, 10); };
  const auto commit = [](const Record& r) {
    return r.git_commit.substr(0, 10) + (r.git_dirty ? " (modified)" : "");
  };
  const auto machine = [](const Record& r) {
    if (r.machine.cpu.empty()) return std::string();
    return fmt::format("{}, {} cores, {}, {:.0f} GiB", r.machine.cpu, r.machine.cores,
                       r.machine.isa, static_cast<double>(r.machine.memory_bytes) / (1LL << 30));
  };
  const std::vector<std::pair<const char*, std::string>> facts{
      {"What was run", what_was_run(set)},
      {"Preset", distinct(set, [](const Record& r) { return r.preset; })},
      {"Cells", statuses(set)},
      {"Machine", distinct(set, machine)},
      {"Commit", distinct(set, commit)},
      {"Date", distinct(set, day)},
      {"Compiler", distinct(set, [](const Record& r) { return r.compiler; })},
      {"Flags", distinct(set, [](const Record& r) { return r.flags; })}};
  std::string html = "<dl class=\"facts\">\n";
  for (const auto& [name, text] : facts) {
    html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, escaped(text));
  }
  return html + "</dl>\n";
}

std::string header_html(const RecordSet& set) {
  const std::vector<std::string> found = findings(set);
  std::string html =
      fmt::format("<header>\n<p class=\"kicker\">Attention Arena report</p>\n<h1>{}</h1>\n",
                  escaped(found.front()));
  for (std::size_t i = 1; i < found.size(); ++i) {
    html += fmt::format("<p class=\"lead\">{}</p>\n", escaped(found[i]));
  }
  html += facts_html(set);
  if (const auto told = warnings(set); !told.empty()) {
    html += "<ul class=\"warnings\" aria-label=\"Warnings\">\n";
    for (const std::string& text : told) html += fmt::format("<li>{}</li>\n", escaped(text));
    html += "</ul>\n";
  }
  return html + "</header>\n";
}

std::string figures_html(const std::vector<Drawn>& figures) {
  if (figures.empty()) {
    return "<p>Not drawn: gnuplot is not installed where this page was made "
           "(<code>./arena packages figures</code>). The tables hold the same numbers.</p>\n";
  }
  std::string html = "<p>Point at a mark for its numbers.</p>\n<div class=\"figures\">\n";
  for (const Drawn& drawn : figures) {
    html += fmt::format(
        "<figure id=\"{}\">\n<figcaption><h3>{}</h3></figcaption>\n{}<figcaption><p>{}</p>"
        "</figcaption>\n</figure>\n",
        drawn.figure.id, escaped(drawn.figure.title), drawn.svg, escaped(drawn.figure.caption));
  }
  return html + "</div>\n";
}

std::vector<Section> sections_of(const RecordSet& set, const ReportRequest& request,
                                 const std::vector<Drawn>& figures) {
  std::vector<Section> sections{{"figures", "Figures", figures_html(figures)}};
  struct View {
    const char *id, *title, *name;
  };
  for (const View& view :
       {View{"accuracy", "Accuracy", "accuracy"}, View{"speed", "Speed", "speed"},
        View{"memory", "Memory", "memory"}, View{"cells", "Cells", "records"}}) {
    Tables tables = make_tables(set.records, {.view = view.name, .stale = request.stale});
    if (std::string_view(view.id) == "cells") tables.notes.clear();
    std::string html = tables_html(tables, view.title);
    if (!html.empty()) sections.push_back({view.id, view.title, std::move(html)});
  }
  sections.push_back({"limits", "Limits", limits_html()});
  return sections;
}

constexpr const char* kFilter = R"html(<div class="filter" id="tables">
<label for="filter">Filter all tables</label>
<input id="filter" type="search" placeholder="linformer listops" autocomplete="off">
<output id="count" for="filter" aria-live="polite"></output>
</div>
)html";

constexpr const char* kDrawer = R"html(<dialog id="drawer" aria-labelledby="drawer-title">
<header><h2 id="drawer-title"></h2><button type="button" class="action" id="drawer-close">Close</button></header>
<p id="drawer-status"></p>
<h3>Run it again, in any checkout</h3>
<pre id="drawer-command" tabindex="0"></pre>
<p><button type="button" class="action" data-copy="drawer-command">Copy</button></p>
<h3>Or from its record, under the same id</h3>
<pre id="drawer-rerun" tabindex="0"></pre>
<p><button type="button" class="action" data-copy="drawer-rerun">Copy</button></p>
<h3>Record</h3>
<pre id="drawer-record" tabindex="0"></pre>
</dialog>
<div id="tip" aria-hidden="true" hidden></div>
)html";

/// Nothing may be loaded, so nothing is asked of the network.
constexpr const char* kHead = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
)html";

}  // namespace

std::string report_page(std::span<const Record> records, const ReportRequest& request,
                        const std::vector<Drawn>& figures) {
  check(!records.empty(), "no records to make a report of");
  const std::vector<Record> kept = newest_of_each(records);
  const RecordSet set{.records = kept, .labels = Labels(kept), .stale = request.stale};
  const std::vector<Section> sections = sections_of(set, request, figures);
  const auto preset = distinct(set, [](const Record& r) { return r.preset; });
  std::string html = kHead;
  html += fmt::format("<title>Attention Arena: {}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
                      escaped(preset), kPageStyle);
  html += "<a class=\"skip\" href=\"#main\">To the results</a>\n" + header_html(set);
  html += "<nav aria-label=\"Sections\"><ul>\n";
  for (const Section& section : sections) {
    html += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", section.id, section.title);
  }
  html += "</ul></nav>\n<main id=\"main\">\n";
  for (const Section& section : sections) {
    if (&section == &sections[1]) html += kFilter;
    html +=
        fmt::format("<section aria-labelledby=\"{0}\">\n<h2 id=\"{0}\">{1}</h2>\n{2}</section>\n",
                    section.id, section.title, section.html);
  }
  html += "</main>\n<footer>Made from the records alone by <code>arena report</code>.</footer>\n";
  html += kDrawer;
  html += fmt::format("<script type=\"application/json\" id=\"cells-data\">{}</script>\n",
                      cells_data(set, request.dirs));
  return html + fmt::format("<script>\n{}</script>\n</body>\n</html>\n", kPageScript);
}

}  // namespace arena
