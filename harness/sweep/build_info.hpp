#pragma once
// Tables that cmake/BuildInfo.cmake generates when this source is built.

#include <span>
#include <string_view>

namespace arena {

struct BuildText {
  std::string_view name;
  std::string_view text;
};

/// One hash per file of variants/ and tasks/ by stem.
std::span<const BuildText> variant_hashes();
std::span<const BuildText> task_hashes();
/// "engine", "train", "bench" -> hash of what all results of the kind share.
std::span<const BuildText> shared_hashes();
/// "commit" (may be empty) and "dirty" ("1" or "").
std::span<const BuildText> git_state();
/// Preset files by stem.
std::span<const BuildText> preset_texts();
/// Scripts that are run by other programs, by stem.
std::span<const BuildText> script_texts();

}  // namespace arena
