#pragma once
// Where a record comes from: this build and this machine.

#include <string>
#include <vector>

#include "results/record.hpp"

namespace arena {

/// "0.1.0".
std::string arena_version();
/// "0.1.0 (commit 1a2b3c4, modified; GNU 12.2.0; x86-64-v3)".
std::string build_description();

/// Hash, made when this binary was built, of the source that results of this kind come from: the
/// variant's file, the engines, the layers and the model; of a training also the task's file and
/// the readers of formats, of a timing the bench. Adding a variant or a task changes no other's.
/// "unknown" for a variant or task that is not of this source tree.
std::string code_hash(const std::string& kind, const std::string& variant, const std::string& task);

/// Whether a record was made by other code than this binary's.
bool is_stale(const Record& record);

/// Fills arena_version, code_hash, git_*, date, machine, compiler and flags.
void stamp(Record& record);

/// Names and texts of the presets that were built in.
struct BuiltInPreset {
  std::string name;
  std::string text;
};
const std::vector<BuiltInPreset>& built_in_presets();

}  // namespace arena
