#include "results/export.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/core/check.hpp"

namespace arena {
namespace {

using Json = nlohmann::ordered_json;

Json google_entry(const Record& r, const std::string& name, double time_ns) {
  Json entry{{"name", name},
             {"run_name", timing_name(r)},
             {"run_type", "iteration"},
             {"threads", 1},
             {"iterations", 1},
             {"real_time", time_ns},
             {"cpu_time", time_ns},
             {"time_unit", "ns"}};
  if (r.workspace_bytes) entry["workspace_bytes"] = *r.workspace_bytes;
  if (r.rss_peak_bytes) entry["rss_peak_bytes"] = *r.rss_peak_bytes;
  return entry;
}

std::string google_benchmark(const std::vector<const Record*>& timings) {
  const Record& first = *timings.front();
  Json out{{"context",
            {{"date", first.date},
             {"host_name", first.machine.cpu},
             {"executable", "arena"},
             {"num_cpus", first.machine.cores},
             {"caches", Json::array()},
             {"library_build_type", "release"}}},
           {"benchmarks", Json::array()}};
  for (const Record* r : timings) {
    const std::string name = timing_name(*r);
    if (!r->time_ns_median) {
      out["benchmarks"].push_back({{"name", name},
                                   {"run_name", name},
                                   {"run_type", "iteration"},
                                   {"error_occurred", true},
                                   {"error_message", r->status}});
      continue;
    }
    for (std::size_t i = 0; i < r->time_ns.size(); ++i) {
      Json entry = google_entry(*r, name, r->time_ns[i]);
      entry["repetitions"] = r->time_ns.size(), entry["repetition_index"] = i;
      out["benchmarks"].push_back(std::move(entry));
    }
    Json middle = google_entry(*r, name + "_median", *r->time_ns_median);
    middle["run_type"] = "aggregate", middle["aggregate_name"] = "median";
    out["benchmarks"].push_back(std::move(middle));
  }
  return out.dump(2) + "\n";
}

std::string github_action_benchmark(const std::vector<const Record*>& timings) {
  Json out = Json::array();
  for (const Record* r : timings) {
    if (!r->time_ns_median) continue;
    Json entry{{"name", timing_name(*r)}, {"unit", "ns"}, {"value", *r->time_ns_median}};
    if (r->time_ns_mad) entry["range"] = fmt::format("± {:g}", *r->time_ns_mad);
    entry["extra"] =
        fmt::format("{}, {} cores, {}", r->machine.cpu, r->machine.cores, r->machine.isa);
    out.push_back(std::move(entry));
  }
  return out.dump(2) + "\n";
}

std::string bencher(const std::vector<const Record*>& timings) {
  Json out = Json::object();
  for (const Record* r : timings) {
    if (!r->time_ns_median) continue;
    Json latency{{"value", *r->time_ns_median}};
    if (r->time_ns_mad) {
      latency["lower_value"] = *r->time_ns_median - *r->time_ns_mad;
      latency["upper_value"] = *r->time_ns_median + *r->time_ns_mad;
    }
    Json& entry = out[timing_name(*r)];
    entry["latency"] = std::move(latency);
    if (r->workspace_bytes) entry["workspace-bytes"] = {{"value", *r->workspace_bytes}};
  }
  return out.dump(2) + "\n";
}

}  // namespace

std::string timing_name(const Record& r) {
  std::string name = fmt::format("{}/{}/{}/{}/{}x{}", r.scope, r.pass, r.length,
                                 named_text(r.variant, r.options), r.heads, r.head_dim);
  if (!r.task.empty()) name += "/" + named_text(r.task, r.task_options);
  if (r.causal) name += "/causal";
  if (r.batch > 1) name += fmt::format("/batch_{}", r.batch);
  if (r.threads > 1) name += fmt::format("/threads_{}", r.threads);
  return name;
}

std::vector<std::string> export_names() {
  return {"gbench", "github-action-benchmark", "bencher"};
}

std::string export_timings(std::span<const Record> records, const std::string& format) {
  std::vector<const Record*> timings;
  for (const Record& record : records) {
    if (record.kind == "bench") timings.push_back(&record);
  }
  check(!timings.empty(), "--format {}: there are no timings among {} records", format,
        records.size());
  if (format == "gbench") return google_benchmark(timings);
  return format == "bencher" ? bencher(timings) : github_action_benchmark(timings);
}

}  // namespace arena
