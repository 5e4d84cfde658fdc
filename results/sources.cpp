#include "results/sources.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/core/check.hpp"
#include "results/statistics.hpp"
#include "results/store.hpp"

namespace arena {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const std::map<std::string, double, std::less<>> kNanoseconds{
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};

constexpr double kMostCores = 1e6;

std::string text_in(const Json& json, const char* name, const std::string& fallback = "") {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : fallback;
}

std::optional<double> number_in(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

/// Adds one line of the report, a repetition, to the record of its benchmark.
void add_repetition(const Json& entry, const std::string& where, Record& record) {
  if (const auto failed = entry.find("error_occurred"); failed != entry.end() && *failed == true) {
    record.status = "ERROR";
    record.error = text_in(entry, "error_message");
    return;
  }
  const auto time = number_in(entry, "real_time");
  const auto unit = kNanoseconds.find(text_in(entry, "time_unit", "ns"));
  check(time.has_value(), "{}: field 'real_time' should be a number", where);
  check(unit != kNanoseconds.end(), "{}: field 'time_unit' should be ns, us, ms or s, is {}", where,
        text_in(entry, "time_unit"));
  const double time_ns = *time * unit->second;
  check(time_ns >= 0 && std::isfinite(time_ns), "{}: field 'real_time' should be a time, is {} {}",
        where, *time, unit->first);
  record.time_ns.push_back(time_ns);
  if (const auto bytes = number_in(entry, "workspace_bytes")) record.workspace_bytes = bytes;
  if (const auto bytes = number_in(entry, "rss_peak_bytes")) record.rss_peak_bytes = bytes;
}

bool has_cells(const fs::path& dir) {
  std::error_code error;
  return fs::is_directory(dir / "cells", error);
}

std::vector<Record> read_results_file(const std::string& path) {
  const std::string text = read_file(path);
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_object() && json.contains("benchmarks")) return google_benchmark_records(text, path);
  return {record_from_json(text, path)};
}

bool is_plain_word(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.front() != '-' &&
         std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

std::vector<Record> google_benchmark_records(const std::string& text, const std::string& source) {
  const Json json = Json::parse(text, nullptr, false);
  check(json.is_object() && json.contains("benchmarks") && json["benchmarks"].is_array(),
        "{}: not Google Benchmark's JSON: there is no list 'benchmarks'", source);
  const Json context = json.value("context", Json::object());
  MachineInfo machine{.cpu = "host " + text_in(context, "host_name", "unknown"), .isa = ""};
  const double cores = number_in(context, "num_cpus").value_or(0);
  check(cores >= 0 && cores <= kMostCores, "{}: field 'num_cpus' should be a count, is {}", source,
        cores);
  machine.cores = static_cast<Index>(cores);
  std::vector<Record> records;
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < json["benchmarks"].size(); ++i) {
    const Json& entry = json["benchmarks"][i];
    const std::string where = fmt::format("{}: benchmarks[{}]", source, i);
    check(entry.is_object(), "{} should be an object", where);
    if (text_in(entry, "run_type") == "aggregate") continue;
    const std::string name = text_in(entry, "run_name", text_in(entry, "name"));
    check(!name.empty(), "{}: field 'name' is missing", where);
    const auto [place, fresh] = places.emplace(name, records.size());
    if (fresh) {
      Record& record = records.emplace_back();
      record.id = record.variant = name, record.kind = "bench", record.machine = machine;
    }
    add_repetition(entry, where, records[place->second]);
  }
  for (Record& record : records) {
    if (!record.time_ns.empty()) record.time_ns_median = median(record.time_ns);
  }
  return records;
}

std::vector<Record> load_results(const std::string& source, const std::string& baselines) {
  std::error_code error;
  if (has_cells(source)) return Store(source).load();
  if (fs::is_regular_file(source, error)) return read_results_file(source);
  const std::vector<std::string> names = baseline_names(baselines);
  if (std::ranges::count(names, source) > 0) return Store(baselines + "/" + source).load();
  check(!fs::exists(source, error), "{}: no results: there is no folder {}/cells", source, source);
  throw Error(unknown_name("folder, file or baseline", source, names));
}

std::vector<std::string> baseline_names(const std::string& baselines) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(baselines, error)) {
    const std::string name = entry.path().filename().string();
    if (name.front() != '.' && has_cells(entry.path())) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

void save_baseline(const std::string& baselines, const std::string& name, const std::string& dir,
                   bool replace) {
  check(is_plain_word(name), "bad name '{}' of a baseline: letters, digits, '-', '_' and '.'",
        name);
  const std::vector<Record> records = Store(dir).load();
  check(!records.empty(), "{}: no results to save", dir);
  const std::string target = baselines + "/" + name;
  std::error_code error;
  check(replace || !fs::exists(target, error), "baseline '{}' is there already (--force)", name);
  const std::string temporary = baselines + "/." + name + ".new";
  fs::remove_all(temporary, error);
  for (const Record& record : records) Store(temporary).save(record);
  fs::remove_all(target, error);
  rename_and_sync(temporary, target);
}

}  // namespace arena
