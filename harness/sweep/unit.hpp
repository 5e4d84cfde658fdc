#pragma once
// What a plan is made of. A cell is one (variant, task or shape, settings, seed); a unit is what is
// run, claimed and resumed at once: one training, or all cells of one timing group.

#include <cstdint>
#include <string>
#include <vector>

#include "harness/bench/bench.hpp"
#include "results/record.hpp"

namespace arena {

/// One variant of a unit, with the id of its cell.
struct UnitCell {
  std::string id{};
  std::string variant{};
  OptionValues options{};

  bool operator==(const UnitCell&) const = default;
};

struct Unit {
  std::string id{};    // of a training: the id of its only cell
  std::string kind{};  // "train" or "bench"
  std::string preset{};
  std::vector<UnitCell> cells{};
  // a training
  std::string task{};
  OptionValues task_options{};
  OptionValues settings{};     // every model.* and train.* value
  std::string dataset_hash{};  // "" where the data is missing
  std::uint64_t seed = 0;
  Index max_len = 1;  // of its sequences; not part of the id
  // a timing group
  BenchShape shape{};
  Index repetitions = 0;
};

/// A training; computes its id.
Unit train_unit(Unit unit);
/// A timing group; computes the ids of its cells, and its own from theirs.
Unit bench_unit(Unit unit);

/// A unit as one line of JSON, and back; parse_unit throws Error naming `source`.
std::string unit_line(const Unit& unit);
Unit parse_unit(const std::string& line, const std::string& source);

/// The record of a cell before anything is known but what was asked for.
Record planned_record(const Unit& unit, const UnitCell& cell);

/// "linformer on recall, seed 1" or "kernel forward at 1024: dense, local".
std::string unit_title(const Unit& unit);

/// 24 hexadecimal digits of a text.
std::string content_id(const std::string& text);

}  // namespace arena
