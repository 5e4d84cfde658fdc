#include "harness/bench/peer.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "harness/bench/peer_reference.hpp"
#include "harness/sweep/build_info.hpp"
#include "results/export.hpp"

namespace arena {
namespace {

/// Waiting threads of either side spin for some milliseconds before they sleep (libgomp's default);
/// so long nobody runs when the cores change hands.
constexpr std::chrono::milliseconds kSettle{20};
constexpr double kNanosecondsPerSecond = 1e9;

void settle() {
  std::this_thread::sleep_for(kSettle);
}

std::string_view script() {
  return script_texts().front().text;
}

std::string make_folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "arena-peers-XXXXXX").string();
  check(mkdtemp(pattern.data()) != nullptr, "cannot make a folder {}", pattern);
  return pattern;
}

}  // namespace

const std::vector<std::string>& peer_library_names() {
  static const std::vector<std::string> names = {"torch", "onnxruntime"};
  return names;
}

std::vector<PeerLibrary> find_peers(const PeerSettings& settings,
                                    std::span<const std::string> names,
                                    const std::function<void(const std::string&)>& remark) {
  std::vector<PeerLibrary> found;
  for (const std::string& name : names) {
    PeerProcess process(settings.python, script(), "/dev/null");
    const PeerAnswer answer = process.ask({{"do", "hello"}, {"library", name}}, settings.timeout_s);
    const auto version = answer.fields.find("version");
    if (answer.ok() && version != answer.fields.end() && version->is_string()) {
      found.push_back({name, version->get<std::string>()});
      continue;
    }
    const auto missing = answer.fields.find("missing");
    const std::string why = missing != answer.fields.end() && missing->is_string()
                                ? "has no " + missing->get<std::string>()
                            : answer.ok() ? "gave no version"
                                          : answer.error;
    remark(fmt::format(
        "without {}: '{}' {}; to get it: python3 -m venv peers && peers/bin/pip install "
        "torch==2.13.0 onnxruntime onnx numpy, then --python peers/bin/python",
        name, settings.python, why));
  }
  return found;
}

struct PeerGroup::Row {
  const PeerRow& peer;
  BenchEntry entry{};
  std::unique_ptr<PeerProcess> process{};
};

PeerGroup::PeerGroup(const BenchGroup& group, const BenchInputs* tensors, const StepBatch* batch)
    : group_(group) {
  if (group.peers.empty()) return;
  check(!batch || !batch->pairs(), "--against: no other package has a row for pairs of documents");
  folder_ = make_folder();
  reference_ = batch ? make_step_reference(group.shape, *batch)
                     : make_kernel_reference(group.shape, *tensors);
  for (const PeerRow& peer : group.peers) {
    rows_.push_back(std::make_unique<Row>(Row{.peer = peer}));
    BenchEntry& entry = rows_.back()->entry;
    entry.record = blank_record(group.shape, peer.like);
    entry.record.variant = peer.variant();
    entry.record.options = peer.options();
    entry.record.flops = entry.flops = reference_->flops(peer);
    entry.tokens = reference_->tokens();
    if (batch) entry.record.lengths = batch->lengths();
    if (batch) entry.record.dataset_hash = batch->dataset_hash();
  }
}

PeerGroup::~PeerGroup() {
  rows_.clear();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

void PeerGroup::start(const std::function<void(const std::string&)>& progress) {
  for (const auto& row : rows_) {
    progress(fmt::format("checking {}", timing_name(row->entry.record)));
    start_row(*row);
    if (row->entry.record.status != "OK") row->process.reset();
  }
}

void PeerGroup::start_row(Row& row) {
  const BenchShape& shape = group_.shape;
  Record& record = row.entry.record;
  const std::string inputs = folder_ + "/inputs", outputs = folder_ + "/outputs";
  std::error_code ignored;
  std::filesystem::remove(outputs, ignored);
  nlohmann::json request = reference_->write_inputs(row.peer, inputs);
  request.update({{"do", "make"},
                  {"library", row.peer.library},
                  {"row", row.peer.row},
                  {"scope", shape.scope},
                  {"pass", pass_name(shape.pass)},
                  {"causal", shape.causal},
                  {"heads", shape.heads},
                  {"length", shape.length},
                  {"threads", shape.threads},
                  {"inputs", inputs},
                  {"outputs", outputs}});
  row.process =
      std::make_unique<PeerProcess>(group_.peer_settings.python, script(), folder_ + "/" + "log");
  const PeerAnswer answer = row.process->ask(request, group_.peer_settings.timeout_s);
  if (!answer.ok()) return set_status(record, answer.status, answer.error);
  const PeerVerdict verdict = reference_->judge(row.peer, answer, outputs);
  if (std::isfinite(verdict.error)) record.max_error = verdict.error;
  if (!verdict.problem.empty()) return set_status(record, "INCORRECT", verdict.problem);
  if (answer.number("cold_ns") > 0) record.time_ns_cold = answer.number("cold_ns");
  if (answer.number("rss_peak_bytes") > 0) record.rss_peak_bytes = answer.number("rss_peak_bytes");
}

std::vector<TimedCall> PeerGroup::calls() {
  std::vector<TimedCall> calls;
  for (const auto& owned : rows_) {
    Row* const row = owned.get();
    if (!row->process) continue;
    TimedCall call{
        .name = timing_name(row->entry.record), .prepare = settle, .call = {}, .finish = settle};
    call.measure = [this, row](Index calls_wanted) {
      const PeerAnswer answer = row->process->ask({{"do", "run"}, {"calls", calls_wanted}},
                                                  group_.peer_settings.timeout_s);
      if (answer.ok() && answer.number("ns") > 0) return answer.number("ns");
      set_status(row->entry.record, answer.ok() ? "ERROR" : answer.status,
                 answer.ok() ? "measured no time" : answer.error);
      // A long time, so that nobody asks it for more calls; it is not recorded.
      return kNanosecondsPerSecond * static_cast<double>(calls_wanted);
    };
    call.flops = row->entry.flops;
    calls.push_back(std::move(call));
  }
  return calls;
}

std::vector<BenchEntry*> PeerGroup::timed() {
  std::vector<BenchEntry*> entries;
  for (const auto& row : rows_) {
    if (row->process) entries.push_back(&row->entry);
  }
  return entries;
}

std::vector<Record> PeerGroup::take_records() {
  std::vector<Record> records;
  for (const auto& row : rows_) records.push_back(std::move(row->entry.record));
  return records;
}

}  // namespace arena
