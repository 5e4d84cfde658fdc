#pragma once
// A preset expanded into units, and the order they are run in.

#include <string>
#include <vector>

#include "harness/sweep/preset.hpp"
#include "harness/sweep/unit.hpp"

namespace arena {

/// Timings first (they want a quiet machine), then trainings: all variants of a task and a seed one
/// after another. Each unit once. Throws Error on values that do not fit together.
std::vector<Unit> plan_units(const Preset& preset, const std::string& data_dir);

/// A rough count of what a unit does, for estimates of the time left: flops as if attention were
/// exact and every sequence the longest. Only ratios between units of one kind mean something.
double unit_cost(const Unit& unit);

}  // namespace arena
