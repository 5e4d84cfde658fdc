#include "harness/bench/bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>

#include "harness/bench/bench_entry.hpp"
#include "harness/bench/google.hpp"
#include "harness/bench/peer.hpp"
#include "harness/machine/meter.hpp"
#include "harness/machine/peak.hpp"
#include "results/export.hpp"
#include "results/statistics.hpp"

namespace arena {
namespace {

using Progress = std::function<void(const std::string&)>;

void fill_times(BenchEntry& entry, const std::vector<double>& times, const ComputeLimits& limits) {
  Record& record = entry.record;
  record.time_ns = times;
  const double middle = median(times);
  record.time_ns_median = middle;
  record.time_ns_mad = median_absolute_deviation(times);
  record.tokens_per_s = entry.tokens * 1e9 / middle;
  if (!record.flops || *record.flops <= 0) return;
  record.flops_per_s = *record.flops * 1e9 / middle;
  record.share_of_peak = *record.flops_per_s / limits.peak_flops_per_s;
  record.share_of_l1 = *record.flops_per_s / limits.l1_flops_per_s;
}

TimedCall timed_call(BenchEntry& entry, const Team& team, double peak_flops_per_s) {
  Timed* const contender = entry.contender.get();
  auto mark = std::make_shared<Workspace::Mark>();
  TimedCall call{.name = timing_name(entry.record),
                 .prepare =
                     [=] {
                       *mark = team.workspace().mark();
                       contender->prepare(team);
                     },
                 .call = [=] { contender->run(team); },
                 .finish = [=] { team.workspace().release(*mark); },
                 .flops = entry.flops,
                 .peak_flops_per_s = peak_flops_per_s};
  const Record& record = entry.record;
  call.counters["workspace_bytes"] = record.workspace_bytes.value_or(0);
  call.counters["max_error"] = record.max_error.value_or(0);
  if (record.rss_peak_bytes) call.counters["rss_peak_bytes"] = *record.rss_peak_bytes;
  if (record.analytic_bytes) call.counters["analytic_bytes"] = *record.analytic_bytes;
  return call;
}

/// One more call on warm memory; what its outputs hash to.
std::uint64_t hash_of_call(Timed& contender, const Team& team) {
  const WorkspaceScope scope(team.workspace());
  contender.prepare(team);
  contender.run(team);
  return contender.output_hash();
}

/// What all contenders of a group work on: one of both.
struct GroupInputs {
  std::optional<BenchInputs> tensors;
  std::optional<StepBatch> batch;

  GroupInputs(const BenchShape& shape, std::span<const BenchVariant> variants) {
    if (shape.scope == "step") {
      const auto wants_edges = [](const BenchVariant& variant) {
        return Registry<Variant>::find(variant.name).claims.edges;
      };
      batch.emplace(shape, std::ranges::any_of(variants, wants_edges));
    } else {
      tensors.emplace(shape);
    }
  }
};

/// Times all entries that still have a contender, round-robin. The register peak is the better of
/// two probes, before and after; the rate of L1, like every time, the median over the rounds.
void time_entries(const BenchGroup& group, std::vector<BenchEntry>& entries, PeerGroup& peers,
                  const Team& team, GoogleBenchmark& google) {
  const double before = measure_peak(team);
  std::vector<TimedCall> calls;
  std::vector<BenchEntry*> timed;
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].contender) continue;
    timed.push_back(&entries[i]);
    hashes.push_back(hash_of_call(*entries[i].contender, team));
    calls.push_back(timed_call(entries[i], team, before));
  }
  for (TimedCall& call : peers.calls()) calls.push_back(std::move(call));
  for (BenchEntry* entry : peers.timed()) timed.push_back(entry);
  if (calls.empty()) return;
  const L1Probe l1(team);
  std::vector<double> l1_rates;
  const auto times = google.time(calls, google.repetitions(group.repetitions),
                                 [&] { l1_rates.push_back(l1.rate()); });
  if (l1_rates.empty()) return;
  const ComputeLimits limits{.peak_flops_per_s = std::max(before, measure_peak(team)),
                             .l1_flops_per_s = median(l1_rates)};
  for (std::size_t i = 0; i < timed.size(); ++i) {
    const Timed* const contender = timed[i]->contender.get();
    if (contender && contender->output_hash() != hashes[i]) {
      set_status(timed[i]->record, "INCORRECT",
                 "the same call on the same inputs gave other bits while it was timed");
    } else if (timed[i]->record.status == "OK" && !times[i].empty()) {
      fill_times(*timed[i], times[i], limits);
    }
  }
}

}  // namespace

const char* pass_name(Pass pass) {
  return pass == Pass::kForward ? "forward" : pass == Pass::kBackward ? "backward" : "train";
}

Pass parse_pass(const std::string& text) {
  for (const Pass pass : {Pass::kForward, Pass::kBackward, Pass::kTrain}) {
    if (text == pass_name(pass)) return pass;
  }
  const std::vector<std::string> names = {"forward", "backward", "train"};
  throw Error(unknown_name("pass", text, names));
}

std::vector<Record> run_bench_group(const BenchGroup& group, GoogleBenchmark& google,
                                    const Progress& progress) {
  const GroupInputs inputs(group.shape, group.variants);
  Workers workers(group.shape.threads);
  std::vector<BenchEntry> entries;
  for (const BenchVariant& chosen : group.variants) {
    progress(fmt::format("checking {}", timing_name(blank_record(group.shape, chosen))));
    entries.push_back(inputs.tensors
                          ? make_entry(group.shape, chosen, *inputs.tensors)
                          : make_step_entry(group.shape, chosen, *inputs.batch, workers));
  }
  PeerGroup peers(group, inputs.tensors ? &*inputs.tensors : nullptr,
                  inputs.batch ? &*inputs.batch : nullptr);
  peers.start(progress);
  progress(fmt::format("timing {}",
                       timing_name(blank_record(group.shape, {.name = "*", .options = {}}))));
  time_entries(group, entries, peers, workers.team(), google);
  std::vector<Record> records;
  for (BenchEntry& entry : entries) records.push_back(std::move(entry.record));
  for (Record& record : peers.take_records()) records.push_back(std::move(record));
  return records;
}

std::vector<Record> run_bench_group(const BenchGroup& group, const Progress& progress) {
  GoogleBenchmark google(group.benchmark_flags);
  return run_bench_group(group, google, progress);
}

Index resident_peak_of_one_call(const BenchShape& shape, const BenchVariant& chosen) {
  const GroupInputs inputs(shape, std::span(&chosen, 1));
  Workers workers(shape.threads);
  const Team team = workers.team();
  const std::unique_ptr<Timed> contender =
      inputs.tensors ? std::unique_ptr<Timed>(make_contender(shape, chosen, *inputs.tensors))
                     : std::make_unique<StepContender>(shape, chosen, *inputs.batch, workers);
  reset_resident_peak();
  const WorkspaceScope scope(team.workspace());
  contender->prepare(team);
  contender->run(team);
  return resident_peak_bytes();
}

}  // namespace arena
