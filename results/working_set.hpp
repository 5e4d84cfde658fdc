#pragma once
// How much memory a timed call goes through, and which cache holds that.

#include <optional>
#include <string>

#include "results/record.hpp"

namespace arena {

/// Bytes of inputs, outputs and parameters, with a backward pass also of their gradients, and of
/// the measured workspace; inputs and outputs are counted the same way for all variants (query,
/// key, value and out; x and y of a layer; a step has tokens only). Absent where no workspace was
/// measured.
std::optional<double> working_set_bytes(const Record& record);

/// "L2": the first of the machine's caches of data that holds so many bytes; "no cache" where none
/// does; "" where the machine's caches are not known.
std::string smallest_cache(const MachineInfo& machine, double bytes);

/// "L1d 48 KiB, L2 2 MiB": caches of data.
std::string data_caches(const MachineInfo& machine);

}  // namespace arena
