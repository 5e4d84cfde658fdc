#pragma once
// One result: a flat object whose field names are those of its JSON (design.md section 7).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/options.hpp"

namespace arena {

using OptionValues = std::map<std::string, OptionValue, std::less<>>;
/// "linformer[rank=64]", which parse_named reads back; a value that is an empty text is left out.
std::string named_text(const std::string& name, const OptionValues& options);

struct MachineInfo {
  std::string cpu;
  Index cores = 0;
  std::vector<std::string> caches{};  // "L1d 32 KiB", ...
  std::string isa;                    // "x86-64-v4"
  Index memory_bytes = 0;

  bool operator==(const MachineInfo&) const = default;
};

/// A point of a training curve.
struct CurvePoint {
  Index step = 0;
  double loss = 0;
  double accuracy = 0;
  double wall_s = 0;

  bool operator==(const CurvePoint&) const = default;
};

/// Absent values are not written; numbers are never NaN in JSON.
struct Record {
  // identity and environment
  int schema = 1;
  std::string id, arena_version, code_hash, git_commit;
  bool git_dirty = false;
  std::string date;
  MachineInfo machine{};
  std::string compiler, flags;
  // what
  std::string kind;  // "train" or "bench"
  std::string variant;
  OptionValues options{};
  std::string task;
  std::string task_label;  // its name in tables where that is another: "text-4096"
  OptionValues task_options{};
  OptionValues settings{};  // every model.* and train.* value after defaults, keys with prefix
  std::string dataset_hash;
  bool partial = false;
  std::string preset;
  std::uint64_t seed = 0;
  Index threads = 1;
  std::string track;  // "closed" or "open"
  Index tuning_budget = 1;
  std::string scope, pass;
  Index length = 0, heads = 0, head_dim = 0, batch = 0;
  bool causal = false;
  std::string precision, group;
  // outcome
  std::string status = "OK";
  std::string error;
  std::vector<double> time_ns{};
  std::optional<double> time_ns_median{}, time_ns_mad{}, time_ns_cold{}, tokens_per_s{}, flops{},
      flops_per_s{}, share_of_peak{}, share_of_l1{};
  std::optional<double> workspace_bytes{}, rss_peak_bytes{}, analytic_bytes{}, parameters{};
  std::optional<double> max_error{};
  std::optional<Index> steps{};
  std::optional<double> wall_s{};
  std::map<std::string, double> learning_rate{};  // at steps "0", "warmup", "last"
  std::map<std::string, double> lengths{};  // tokens: "min", "mean", "max" of training samples
  std::vector<CurvePoint> loss_curve{}, validation_curve{};
  std::optional<double> validation_accuracy_best{}, test_accuracy_best{}, test_accuracy_last{};
  std::map<std::string, double> metrics{};
  std::string correct;  // bitmap of scored test labels that are right, hexadecimal, first one first
  std::string
      sequence_starts;  // beside it: the first label of each sequence; empty: one label each
  std::optional<double> chance_accuracy{};
  std::map<std::string, double> shortcut_accuracy{};

  bool operator==(const Record&) const = default;
};

/// One line of JSON (no newline at the end), and back. from_json throws Error naming the field.
std::string to_json(const Record& record);
Record record_from_json(const std::string& text, const std::string& source);

}  // namespace arena
