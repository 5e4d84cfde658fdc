#pragma once
// "--set KEY=VALUE" of a training: variant., task., model. and train., bare where unambiguous.

#include <span>
#include <string>

#include "harness/sweep/preset.hpp"

namespace arena {

/// Changes the options of the table's variants and tasks (all of them) and its settings. A bare key
/// is looked for among the options of the variants, the tasks, the model and the training. Throws
/// Error on a key that is in none or in several of them, naming the nearest or the candidates.
void apply_settings(std::span<const std::string> assignments, TrainTable& table);

}  // namespace arena
