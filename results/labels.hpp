#pragma once
// Short names for rows: only what tells the records of one table apart.

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "results/record.hpp"

namespace arena {

class Labels {
 public:
  /// Looks for the options and settings that differ among `records`.
  explicit Labels(std::span<const Record> records);

  /// "linformer", or "linformer[rank=64]" when other records have another rank; trainings whose
  /// settings differ within a task have them behind: "dense learning_rate=0.001".
  std::string variant(const Record& record) const;
  /// "listops", "text-4096 PARTIAL", or with the options that differ.
  std::string task(const Record& record) const;
  /// "layer backward, 8 heads of 64, batch 1, causal, 2 threads", without the length.
  std::string shape(const Record& record) const;
  /// The whole set of options of each variant and task, for the notes under a table.
  std::vector<std::string> options_in_full() const;

 private:
  using Values = std::map<std::string, std::set<OptionValue>, std::less<>>;

  std::map<std::string, Values> variant_options_, task_options_;  // by name in tables
  std::map<std::string, Values> settings_;                        // by task label
  std::set<std::string> machines_;
};

/// Baselines first (dense, blocked), then by name: the order of rows in every table.
bool variant_before(const std::string& a, const std::string& b);

}  // namespace arena
